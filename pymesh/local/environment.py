"""The variables by which a sidecar learns who it is (Istio's names) and an application learns its way around (Kubernetes' names).

A proxy is started as the mesh's ProxyConfigs say, but for what the mesh of one machine has to decide itself: ports and addresses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..api.models.proxysettings import ProxySettings
from ..api.proxytext import ANNOTATION
from ..bootstrap.effective import ProxyConfigs, proxy_config, untaken
from .meshfile import Gateway, Workload, expand, port_variable
from .ports import HOST, FreePorts

_DRAIN = "1s"  # a laptop's mesh is stopped by somebody who waits
_DECIDED = frozenset(
    ("binaryPath", "configPath", "controlPlaneAuthPolicy", "discoveryAddress", "drainDuration", "interceptionMode")
    + ("proxyAdminPort", "statusPort")
)
"""The parts of a PROXY_CONFIG that are not left to a ProxyConfig here."""
_NONE = ProxyConfigs(())


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """Where the control plane listens, and where its certificate authority keeps its files."""

    xds: int
    secure_xds: int
    monitoring: int
    ca_dir: Path
    root: Path
    """The root certificate, PEM."""

    @classmethod
    def place(cls, directory: Path, ports: FreePorts) -> "ControlPlane":
        """Choose its ports and files."""
        xds, secure_xds, monitoring = ports.take(), ports.take(), ports.take()
        return cls(xds=xds, secure_xds=secure_xds, monitoring=monitoring, ca_dir=directory / "ca", root=directory / "root-cert.pem")

    @property
    def ready_url(self) -> str:
        return f"http://{HOST}:{self.monitoring}/ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One proxy process: whom it stands for, and its ports."""

    pod: str
    workload: str
    namespace: str
    service_account: str
    labels: Mapping[str, str]
    node_type: str
    token: Path
    admin: int
    status: int
    prometheus: int
    health: int
    http_proxy: int
    dns: int
    settings: ProxySettings
    """What ProxyConfigs say of its start."""
    inbound: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Service port name -> `bind` (the sidecar's port) and `app` (the application's)."""
    outbound: Mapping[str, int] = field(default_factory=dict)
    """`<service fqdn>:<service port>` -> the sidecar's port for it."""

    @property
    def name(self) -> str:
        """The name of its process and log."""
        return self.pod if self.node_type == "router" else f"{self.pod}-proxy"

    @property
    def ready_url(self) -> str:
        return f"http://{HOST}:{self.admin}/ready"

    @property
    def metrics_url(self) -> str:
        return f"http://{HOST}:{self.prometheus}/stats/prometheus"

    def environment(self, control: ControlPlane) -> dict[str, str]:
        """Istio's variables, from which the proxy builds its bootstrap."""
        return self._usual() | self.settings.proxy_metadata | self._own(control)

    def overruled(self, control: ControlPlane) -> list[str]:
        """What is asked for its start and does not happen: fields, and variables that are set otherwise."""
        stated, own = proxy_config(self.settings), self._own(control)
        variables = [f"proxyMetadata.{name}" for name in sorted(own.keys() & self.settings.proxy_metadata.keys())]
        return sorted(stated.keys() & _DECIDED) + untaken(self.settings) + variables

    def _usual(self) -> dict[str, str]:
        """What a ProxyConfig may set otherwise."""
        usual = {"ISTIO_META_WORKLOAD_NAME": self.workload, "ISTIO_META_CLUSTER_ID": "local"}
        return usual | ({"DNS_PROXY_ADDR": f"{HOST}:{self.dns}"} if self.node_type == "sidecar" else {})

    def _own(self, control: ControlPlane) -> dict[str, str]:
        return {
            "PYMESH_NODE_TYPE": self.node_type,
            "POD_NAME": self.pod,
            "POD_NAMESPACE": self.namespace,
            "INSTANCE_IP": HOST,
            "SERVICE_ACCOUNT": self.service_account,
            "CA_ADDR": f"{HOST}:{control.secure_xds}",
            "XDS_ROOT_CA": str(control.root),
            "CA_ROOT_CA": str(control.root),
            "PYMESH_TOKEN_FILE": str(self.token),
            "PROXY_CONFIG": json.dumps(self._proxy_config(control)),
            "ISTIO_META_ENVOY_PROMETHEUS_PORT": str(self.prometheus),
            "ISTIO_META_ENVOY_STATUS_PORT": str(self.health),
            "ISTIO_METAJSON_LABELS": json.dumps(dict(self.labels)),
            **(self._sidecar_metadata() if self.node_type == "sidecar" else {}),
        }

    def _proxy_config(self, control: ControlPlane) -> dict[str, Any]:
        stated = {name: value for name, value in proxy_config(self.settings).items() if name not in _DECIDED}
        return {"concurrency": 1, "terminationDrainDuration": _DRAIN} | stated | {
            "discoveryAddress": f"{HOST}:{control.secure_xds}",
            "proxyAdminPort": self.admin,
            "statusPort": self.status,
        }  # fmt: skip

    def _sidecar_metadata(self) -> dict[str, str]:
        return {
            "ISTIO_META_INTERCEPTION_MODE": "NONE",
            "ISTIO_META_HTTP_PROXY_PORT": str(self.http_proxy),
            "ISTIO_METAJSON_INBOUND_PORTS": json.dumps(dict(self.inbound)),
            "ISTIO_METAJSON_OUTBOUND_PORTS": json.dumps(dict(self.outbound)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance of a workload: its application's ports, and its sidecar unless it is outside the mesh."""

    workload: Workload
    pod: str
    ports: Mapping[str, int]
    sidecar: Proxy | None

    @property
    def processes(self) -> tuple[str, ...]:
        """The names of its processes: the application, and the sidecar if there is one."""
        return (self.pod, self.sidecar.name) if self.sidecar else (self.pod,)

    @property
    def ready_url(self) -> str:
        port = next(iter(self.ports.values()))
        return f"http://{HOST}:{port}{self.workload.health}" if self.workload.health else f"tcp://{HOST}:{port}"

    def environment(self) -> dict[str, str]:
        """What the application is told: its ports, the services it calls, the way out, and the variables of its own."""
        variables = {port_variable(name): str(port) for name, port in self.ports.items()}
        if self.sidecar is not None:
            variables |= self._services(self.sidecar)
            variables |= {"http_proxy": f"http://{HOST}:{self.sidecar.http_proxy}", "no_proxy": f"{HOST},localhost"}
        return variables | self.workload.env

    def command(self) -> list[str]:
        """The argument list with its variables put in."""
        variables = self.environment()
        return [expand(argument, variables.__getitem__) for argument in self.workload.command]

    def _services(self, sidecar: Proxy) -> dict[str, str]:
        variables = {}
        for call in self.workload.targets:
            port = str(sidecar.outbound[call.key(sidecar.namespace)])
            variables[f"{call.variable_prefix}_SERVICE_HOST"] = HOST
            variables.setdefault(f"{call.variable_prefix}_SERVICE_PORT", port)
            variables[f"{call.variable_prefix}_SERVICE_PORT_{call.port}"] = port
        return variables


def place_gateway(gateway: Gateway, namespace: str, tokens: Path, ports: FreePorts, configs: ProxyConfigs = _NONE) -> Proxy:
    """Choose a gateway's own ports; those it serves come from Gateway resources."""
    namespace = gateway.namespace or namespace
    return _place_proxy(gateway, gateway.name, namespace, "router", tokens, ports, configs)


def place_instances(
    workload: Workload, namespace: str, tokens: Path, ports: FreePorts, configs: ProxyConfigs = _NONE
) -> list[Instance]:  # fmt: skip
    """Choose the ports of every instance of a workload and of its sidecar."""
    return [_place_instance(workload, pod, namespace, tokens, ports, configs) for pod in workload.pods]


def token_file(tokens: Path, namespace: str, service_account: str) -> Path:
    """Where the join token of a service account is kept; its workloads share it."""
    return tokens / f"{namespace}.{service_account}"


def _place_instance(
    workload: Workload, pod: str, namespace: str, tokens: Path, ports: FreePorts, configs: ProxyConfigs
) -> Instance:  # fmt: skip
    own = {name: port or ports.take() for name, port in workload.ports.items()}
    if not workload.sidecar:
        return Instance(workload=workload, pod=pod, ports=own, sidecar=None)
    sidecar = replace(
        _place_proxy(workload, pod, namespace, "sidecar", tokens, ports, configs),
        inbound={name: {"bind": ports.take(), "app": port} for name, port in own.items()},
        outbound={call.key(namespace): ports.take() for call in workload.targets},
    )
    return Instance(workload=workload, pod=pod, ports=own, sidecar=sidecar)


def _place_proxy(
    of: Gateway | Workload, pod: str, namespace: str, node_type: str, tokens: Path, ports: FreePorts, configs: ProxyConfigs
) -> Proxy:
    return Proxy(
        pod=pod, workload=of.name, namespace=namespace, service_account=of.service_account, labels=of.labels, node_type=node_type,
        token=token_file(tokens, namespace, of.service_account),
        admin=ports.take(), status=ports.take(), prometheus=ports.take(), health=ports.take(), http_proxy=ports.take(), dns=ports.take(),
        settings=configs.of(namespace, of.labels, of.annotations.get(ANNOTATION, "")),
    )  # fmt: skip
