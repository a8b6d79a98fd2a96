"""`mesh.yaml`: which processes make up a mesh on this machine. What the mesh does with traffic stands beside it, in `config/`,
as Istio resources, and the credentials that these name in `secrets/NAMESPACE/NAME/`.

    namespace: shop                          # of the workloads; default `default`
    gateways:                                # proxies without an application
    - name: istio-ingressgateway
      namespace: istio-system                # default: the namespace above
      serviceAccount: gateway                # default `default`
      labels: {istio: ingressgateway}        # what a Gateway's selector looks for
      annotations: {proxy.istio.io/config: "concurrency: 2"}   # how the proxy is started, as a pod's annotation says it
      ports: [31400]                         # the ports its Gateway resources open; checked before anything is started
    workloads:
    - name: cart-v2
      command: [python, cart.py, --port, $(PORT_HTTP)]
      ports: {http: 0}                       # name of the service's port -> port the application listens on; 0: a free one
      labels: {app: cart, version: v2}       # what a ServiceEntry's workloadSelector looks for
      serviceAccount: cart                   # default `default`; part of the workload's SPIFFE id
      replicas: 2                            # default 1
      calls: ["payments:8080"]               # services it calls: <name or host>:<service port>
      env: {LOG_LEVEL: debug}
      health: /healthz                       # answers 200 when ready; default: the first port accepts connections
      annotations: {proxy.istio.io/config: "concurrency: 2"}   # of its sidecar
      sidecar: true                          # false: outside the mesh

The command runs in the folder of the file. `$(NAME)` in it stands for a variable, as in Kubernetes: those of `env`, `PORT_<NAME>` for
each port, and for each call `<SERVICE>_SERVICE_HOST`, `<SERVICE>_SERVICE_PORT` (of several calls of a service the first) and
`<SERVICE>_SERVICE_PORT_<port>`, which lead through the sidecar. `http_proxy` leads through it to hosts outside.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, Strict

from ..api import document, proxytext, shape, tree, values
from ..api.problem import Problem
from ..api.types import Bool, Model
from .errors import InvalidMeshFile

FILE_NAME = "mesh.yaml"
CONFIG_FOLDER = "config"
SECRETS_FOLDER = "secrets"

_M = TypeVar("_M", bound=Model)
_Path = tuple[str | int, ...]

_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def _worded(pattern: str, sentence: str) -> AfterValidator:
    """A pattern whose breach is told in words."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f'"{text}" is not {sentence}')
        return text

    return AfterValidator(check)


DnsLabel = Annotated[str, _worded(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "a DNS label: a-z, 0-9 and -, at most 63 of them")]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
PortOrFree = Annotated[int, Strict(), Field(ge=0, le=65535)]
Target = Annotated[str, _worded(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?:[0-9]{1,5}", "<service>:<port>")]
HttpPath = Annotated[str, _worded(r"/.*", "a path, which begins with /")]


@dataclass(frozen=True, slots=True)
class Call:
    """A service port that a workload calls."""

    host: str
    port: int

    @property
    def variable_prefix(self) -> str:
        """`MODEL_SERVING` for `model-serving.shop.svc.cluster.local`, as Kubernetes makes it."""
        return variable_name(self.host.partition(".")[0])

    def fqdn(self, namespace: str) -> str:
        """The service's host, a bare name standing for a service of `namespace`."""
        return self.host if "." in self.host else f"{self.host}.{namespace}.svc.cluster.local"

    def key(self, namespace: str) -> str:
        """`<service fqdn>:<port>`"""
        return f"{self.fqdn(namespace)}:{self.port}"


class Gateway(Model):
    """A proxy at the edge, without an application."""

    name: DnsLabel
    namespace: DnsLabel | None = None
    service_account: DnsLabel = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    ports: list[Port] = []


class Workload(Model):
    """An application, and whether a sidecar stands beside it."""

    name: DnsLabel
    command: Annotated[list[str], Field(min_length=1)]
    ports: Annotated[dict[DnsLabel, PortOrFree], Field(min_length=1)]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    service_account: DnsLabel = "default"
    replicas: Annotated[int, Strict(), Field(ge=1, le=20)] = 1
    calls: list[Target] = []
    env: dict[str, str] = {}
    health: HttpPath | None = None
    sidecar: Bool = True

    @property
    def targets(self) -> list[Call]:
        """The calls, read."""
        return [Call(host, int(port)) for host, _, port in (call.rpartition(":") for call in self.calls)]

    @property
    def variables(self) -> set[str]:
        """The names that `$(NAME)` may stand for."""
        return {*self.env, *map(port_variable, self.ports)} | {
            f"{call.variable_prefix}_SERVICE_{part}" for call in self.targets for part in ("HOST", "PORT", f"PORT_{call.port}")
        }

    @property
    def pods(self) -> list[str]:
        """The names of its instances: its own, or numbered from 0."""
        return [self.name] if self.replicas == 1 else [f"{self.name}-{number}" for number in range(self.replicas)]


class MeshFile(Model):
    """The whole file."""

    namespace: DnsLabel = "default"
    gateways: list[Gateway] = []
    workloads: Annotated[list[Workload], Field(min_length=1)]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a file; raises InvalidMeshFile with every mistake found."""
        try:
            return cls.parse(path.read_text(), str(path))
        except (OSError, UnicodeError) as error:
            raise InvalidMeshFile(f"{path}: error: cannot be read: {error}") from error

    @classmethod
    def parse(cls, text: str, filename: str) -> Self:
        """Read and check a text; `filename` stands in the messages. Raises InvalidMeshFile."""
        reader = _Reader(text, filename)
        mesh = reader.read(cls)
        if mesh is not None:
            for path, sentence in _contradictions(mesh):
                reader.report_at(path, sentence)
        if mesh is None or reader.problems:
            raise InvalidMeshFile("\n".join(map(str, sorted(reader.problems))))
        return mesh


class _Reader:
    """One YAML document and everything that is wrong with it."""

    def __init__(self, text: str, filename: str) -> None:
        self.problems: list[Problem] = []
        self._filename = filename
        documents = document.read(text, filename)
        self._root: tree.Node = tree.Mapping(tree.Mark(1, 1))
        if documents:
            self.problems += documents[0].problems
            self._root = documents[0].root or self._root
        if len(documents) > 1:
            self._report((), tree.Mark(1, 1), "the file holds several documents; it should be one")

    def read(self, model: type[_M]) -> _M | None:
        """The document as a model, or None with its problems noted."""
        if self.problems:
            return None
        data = shape.fit(self._root, model, self._report)
        mesh = values.build(model, data, self._root, self._report, ())
        return None if self.problems else mesh

    def report_at(self, path: _Path, sentence: str) -> None:
        """Note a problem of a field, by its path of attributes."""
        spot = tree.find(self._root, path)
        self._report(spot.shown, spot.token, sentence)

    def _report(self, path: _Path, mark: tree.Mark, sentence: str) -> None:
        where = f"{tree.show(path)}: " if path else ""
        self.problems.append(Problem(self._filename, *mark, "error", where + sentence))


def variable_name(name: str) -> str:
    """A DNS label as a variable's name: `http-s3` is `HTTP_S3`."""
    return name.upper().replace("-", "_")


def port_variable(port_name: str) -> str:
    """The variable that tells an application one of its ports."""
    return f"PORT_{variable_name(port_name)}"


def expand(argument: str, value_of: Callable[[str], str]) -> str:
    """Replace every `$(NAME)`."""
    return _REFERENCE.sub(lambda match: value_of(match[1]), argument)


def _contradictions(mesh: MeshFile) -> Iterator[tuple[_Path, str]]:
    """What is wrong although each value alone is right."""
    taken: dict[str, str] = {}
    for path, pods in _names(mesh):
        for pod in pods:
            if pod in taken:
                yield path, f"the name {pod!r} is already taken by {taken[pod]}"
            taken.setdefault(pod, f"{path[0]}[{path[1]}]")
    parts: dict[str, Sequence[Gateway | Workload]] = {"gateways": mesh.gateways, "workloads": mesh.workloads}
    for part, proxies in parts.items():
        for index, proxy in enumerate(proxies):
            for path, sentence in _annotation_mistakes(proxy):
                yield (part, index, *path), sentence
    for index, workload in enumerate(mesh.workloads):
        for path, sentence in _workload_contradictions(workload, mesh.namespace):
            yield ("workloads", index, *path), sentence


def _annotation_mistakes(proxy: Gateway | Workload) -> Iterator[tuple[_Path, str]]:
    for name, value in proxy.annotations.items():
        if name != proxytext.ANNOTATION:
            yield ("annotations", name), f"nothing reads it here; there is {proxytext.ANNOTATION}"
        else:
            for mistake in proxytext.read(value)[1]:
                yield ("annotations", name), mistake


def _names(mesh: MeshFile) -> Iterator[tuple[_Path, list[str]]]:
    for index, gateway in enumerate(mesh.gateways):
        yield ("gateways", index, "name"), [gateway.name]
    for index, workload in enumerate(mesh.workloads):
        yield ("workloads", index, "name"), workload.pods


def _workload_contradictions(workload: Workload, namespace: str) -> Iterator[tuple[_Path, str]]:
    for position, argument in enumerate(workload.command):
        for name in _REFERENCE.findall(argument):
            if name not in workload.variables:
                known = ", ".join(sorted(workload.variables))
                yield ("command", position), f"$({name}) is not set; there are {known}"
    for name, port in workload.ports.items():
        if port and workload.replicas > 1:
            yield ("ports", name), f"{workload.replicas} replicas cannot all listen on port {port}; use 0 for free ports"
    named: dict[str, str] = {}
    for position, call in enumerate(workload.targets):
        if (first := named.setdefault(call.variable_prefix, call.fqdn(namespace))) != call.fqdn(namespace):
            yield ("calls", position), f"{call.variable_prefix}_SERVICE_HOST already stands for {first}"
        if not workload.sidecar:
            yield ("calls", position), "a workload without a sidecar has no way into the mesh"
        if not 1 <= call.port <= 65535:
            yield ("calls", position), f"{call.port} is not a port"
