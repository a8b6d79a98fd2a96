"""A mesh from Istio's YAML, and what the generators make of it, for tests to look at."""

import json
import pathlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from google.protobuf import json_format

from pymesh.api import parse_text
from pymesh.xds import proto, types
from pymesh_control.generate import generate
from pymesh_control.model.assembly import build
from pymesh_control.model.view import ProxyView, view_of
from pymesh_control.model.workload import Workload
from tests import peers


class Mesh:
    """A snapshot built from one YAML text, with the problems found on the way."""

    def __init__(self, text: str, workloads: Sequence[Workload] = (), names: Mapping[str, tuple[str, ...]] = {}) -> None:
        parsed = parse_text(text, "mesh.yaml")
        assert not [str(problem) for problem in parsed.problems if problem.severity == "error"]
        self.snapshot, self.problems = build(parsed.resources, workloads, 1, names=names)

    def sees(self, view: ProxyView, type_url: str, *names: str) -> dict[str, Any]:
        """The messages of one type by name; all when no names are given."""
        built = generate(self.snapshot, view, type_url, frozenset(names) or None)
        return {name: proto.unpack(one.any) for name, one in built.items()}

    def clusters(self, view: ProxyView) -> dict[str, Any]:
        return self.sees(view, types.CLUSTER)

    def endpoints(self, view: ProxyView, name: str) -> Any:
        return self.sees(view, types.ENDPOINT, name)[name]

    def listeners(self, view: ProxyView) -> dict[str, Any]:
        return self.sees(view, types.LISTENER)

    def routes(self, view: ProxyView, name: str) -> Any:
        return self.sees(view, types.ROUTE, name)[name]

    def hosts(self, view: ProxyView, name: str) -> dict[str, Any]:
        """The virtual hosts of a route configuration by name."""
        return {host.name: host for host in self.routes(view, name).virtual_hosts}


_SAMPLE = pathlib.Path(__file__).with_name("sample")


@pytest.fixture
def everything() -> str:
    """YAML of a mesh that uses every part of the translation."""
    return (_SAMPLE / "mesh.yaml").read_text()


@pytest.fixture
def everything_at_the_edge(everything: str) -> str:
    """The same with a gateway."""
    return everything + "---\n" + (_SAMPLE / "edge.yaml").read_text()


@pytest.fixture
def everything_of_the_gateway_api(everything: str) -> str:
    """The same with a gateway and routes of the Gateway API."""
    return everything + "---\n" + (_SAMPLE / "gatewayapi.yaml").read_text()


@pytest.fixture
def cluster() -> str:
    """YAML of Kubernetes' own objects, in the namespace `shop`."""
    return (_SAMPLE / "kubernetes.yaml").read_text()


@pytest.fixture
def own_ports() -> dict[str, Any]:
    """Node metadata of a sidecar of that mesh that has loopback ports of its own."""
    bound = {name: {"bind": 21001 + 2 * index, "app": 21002 + 2 * index} for index, name in enumerate(("http", "tcp", "any"))}
    called = ("reviews.default.svc.cluster.local:80", "reviews.default.svc.cluster.local:90", "s3.example.com:443")
    return {
        "LABELS": {"app": "reviews"},
        "INTERCEPTION_MODE": "NONE",
        "HTTP_PROXY_PORT": 15007,
        "INBOUND_PORTS": bound,
        "OUTBOUND_PORTS": {name: 21010 + index for index, name in enumerate(called)},
    }


@pytest.fixture
def strictness() -> Callable[[str], str]:
    """YAML that sets the mode of mutual TLS of that mesh."""
    head = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\n"
    return lambda mode: f"{head}spec: {{mtls: {{mode: {mode}}}}}\n"


@pytest.fixture
def mesh() -> type[Mesh]:
    return Mesh


def proxy(kind: str = "sidecar", agent: str = "pymesh", **metadata: Any) -> ProxyView:
    """A proxy at 10.0.0.9 in the namespace `default`, with more node metadata by keyword."""
    namespace = metadata.get("NAMESPACE", "default")
    node = proto.base.Node(id=f"{kind}~10.0.0.9~client.{namespace}~{namespace}.svc.cluster.local", user_agent_name=agent)
    node.metadata.update(metadata)
    return view_of(node, None)


@pytest.fixture
def view() -> Callable[..., ProxyView]:
    return proxy


@pytest.fixture
def edge(view: Callable[..., ProxyView]) -> ProxyView:
    """The proxy of the Gateway API's Gateway `edge`."""
    return view("router", LABELS={"gateway.networking.k8s.io/gateway-name": "edge"})


@pytest.fixture
def envoy(tmp_path: pathlib.Path) -> Callable[[Mesh, ProxyView], None]:
    """A check that a real Envoy accepts everything a proxy is sent; skipped where there is none."""
    binary = peers.envoy()
    if binary is None:
        pytest.skip("envoy is not installed; `make peers` brings it")

    def validate(mesh: Mesh, seen: ProxyView) -> None:
        path = tmp_path / "bootstrap.json"
        path.write_text(json.dumps(_static_bootstrap(mesh, seen)))
        command = [binary, "--mode", "validate", "-c", str(path), "--disable-hot-restart", "-l", "error"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert result.returncode == 0, result.stderr[-2000:]

    return validate


_GRPC_CLUSTER = {
    "type": "STATIC",
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    },
}


def _static_bootstrap(mesh: Mesh, seen: ProxyView) -> dict[str, Any]:
    """Everything a proxy would get over ADS as static resources, so that Envoy checks it without a server."""
    clusters = [_static_cluster(mesh, seen, message) for message in mesh.clusters(seen).values()]
    listeners = [_static_listener(mesh, seen, message) for message in mesh.listeners(seen).values()]
    return {
        "node": {"id": seen.node_id, "cluster": "test"},
        "static_resources": {
            "clusters": [json_format.MessageToDict(one) for one in clusters] + [{"name": "sds-grpc", **_GRPC_CLUSTER}],
            "listeners": [json_format.MessageToDict(one) for one in listeners],
        },
    }


def _static_cluster(mesh: Mesh, seen: ProxyView, message: Any) -> Any:
    if message.type == proto.cluster.Cluster.EDS:
        message.type = proto.cluster.Cluster.STATIC
        message.load_assignment.CopyFrom(mesh.endpoints(seen, message.name))
        message.ClearField("eds_cluster_config")
    return message


def _static_listener(mesh: Mesh, seen: ProxyView, message: Any) -> Any:
    chains = [*message.filter_chains, *([message.default_filter_chain] if message.HasField("default_filter_chain") else [])]
    for held in (one for chain in chains for one in chain.filters):
        if held.name == "envoy.filters.network.http_connection_manager":
            manager = proto.unpack(held.typed_config)
            if manager.HasField("rds"):
                manager.route_config.CopyFrom(mesh.routes(seen, manager.rds.route_config_name))
                held.typed_config.CopyFrom(proto.pack(manager))
    return message
