"""A proxy as the generators see it: what its node says of where it runs and what it listens on."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf import json_format

from pymesh.address import is_ip
from pymesh.api import proxytext
from pymesh.bootstrap import duration
from pymesh.bootstrap.environment import is_on
from pymesh.identity import SpiffeId
from pymesh.labels import locality
from pymesh.xds import node as nodes

from .settings import NOTHING, Settings, from_config
from .whereabouts import CLUSTER_LABEL, HOSTNAME_LABEL, NETWORK_LABEL

PORTS = (15021, 15090)
"""Where proxies answer for their health and their metrics, unless they are told otherwise."""

_OWN_PORTS = tuple(zip(("ENVOY_STATUS_PORT", "ENVOY_PROMETHEUS_PORT"), PORTS, strict=True))
_GENERATED = ("gatewayTopology", "proxyHeaders", "connectionSettings")

PYMESH = "pymesh"
ENVOY = "envoy"
GRPC = "grpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundPort:
    """Where a sidecar listens for one service port (`bind`), and where its application does (`app`)."""

    bind: int
    app: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyView:
    """One connected proxy. `flavor` says which extensions it knows: pymesh, envoy or grpc."""

    node_id: str
    type: str
    ip: str
    name: str
    namespace: str
    flavor: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    locality: str = ""
    """`region/zone/subzone`, any suffix left out."""
    is_authenticated: bool = False
    """Whether a certificate says that it is who it says it is."""
    captures: bool = True
    """Whether connections are redirected to it (REDIRECT); otherwise applications call its listeners (NONE)."""
    resolves: bool = False
    """Whether it answers its application's DNS queries, and so can tell addresses that nobody else knows."""
    ips: tuple[str, ...] = ()
    """All of its addresses, `ip` first."""
    settings: Settings = NOTHING
    """What its own PROXY_CONFIG says of what it is sent."""
    transparent: bool = False
    """Whether captured connections keep the addresses of both ends (TPROXY)."""
    http_proxy_port: int = 0
    inbound_ports: Mapping[str, BoundPort] | None = None
    """By service port name; None when the sidecar does not say and serves what services select it for."""
    outbound_ports: Mapping[tuple[str, int], int] | None = None
    """(service host, service port) to local port; None for Istio's usual listeners."""
    own_ports: frozenset[int] = frozenset(PORTS)
    """Where it listens at every address from the start, for its health and its metrics."""

    group: str = ""
    """The WorkloadGroup that it registers its workload for."""
    wanted_networks: frozenset[str] | None = None
    """The networks whose instances it wants to hear of; None for all."""

    @property
    def topology(self) -> dict[str, str]:
        """The labels that stand for where a workload runs, whether or not it carries them."""
        network, cluster, host = (self.metadata.get(key) for key in ("NETWORK", "CLUSTER_ID", "NODE_NAME"))
        return {NETWORK_LABEL: str(network or ""), CLUSTER_LABEL: str(cluster or "Kubernetes"), HOSTNAME_LABEL: str(host or "")}

    @property
    def families(self) -> frozenset[int]:
        """The IP versions that it has addresses of; IPv4 where no address says anything."""
        return frozenset(ipaddress.ip_address(one).version for one in self.ips) or frozenset({4})

    def own_address(self, wildcard: str) -> str:
        """Its first address of a wildcard's IP version, else loopback's of that version."""
        version = ipaddress.ip_address(wildcard).version
        loopback = "127.0.0.1" if version == 4 else "::1"
        return next((one for one in self.ips if ipaddress.ip_address(one).version == version), loopback)

    @property
    def is_router(self) -> bool:
        return self.type == nodes.ROUTER


def view_of(node: Any, identity: SpiffeId | None) -> ProxyView:
    """Read a Node message; `identity` is the stream's client certificate, whose namespace stands over the node's own word.

    Raises pymesh.xds.node.InvalidNodeId for an id or metadata that cannot be understood.
    """
    metadata = json_format.MessageToDict(node.metadata)
    flavor = _flavor(node, metadata)
    parsed = _node_id(node.id, flavor)
    namespace = (identity and identity.namespace) or metadata.get("NAMESPACE") or parsed.namespace
    return ProxyView(
        node_id=node.id,
        type=parsed.type,
        ip=_ip(metadata, parsed),
        name=parsed.name.partition(".")[0],
        namespace=str(namespace),
        flavor=flavor,
        labels={key: str(value) for key, value in _object(metadata, "LABELS").items()},
        metadata=metadata,
        locality=_locality(node, _object(metadata, "LABELS")),
        is_authenticated=identity is not None,
        captures=metadata.get("INTERCEPTION_MODE") != "NONE",
        transparent=metadata.get("INTERCEPTION_MODE") == "TPROXY",
        resolves=parsed.type == nodes.SIDECAR and is_on(metadata.get("DNS_CAPTURE")),
        ips=_ips(metadata, parsed),
        settings=_settings(metadata, flavor),
        group=str(metadata.get("AUTO_REGISTER_GROUP", "")),
        wanted_networks=_networks(metadata),
        http_proxy_port=_number(metadata.get("HTTP_PROXY_PORT", 0), "HTTP_PROXY_PORT"),
        inbound_ports=_inbound(metadata),
        outbound_ports=_outbound(metadata),
        own_ports=frozenset(_number(metadata.get(key, port), key) for key, port in _OWN_PORTS),
    )


def _networks(metadata: Mapping[str, Any]) -> frozenset[str] | None:
    """REQUESTED_NETWORK_VIEW, a list or its text with commas between."""
    wanted = metadata.get("REQUESTED_NETWORK_VIEW") or ()
    names = wanted.split(",") if isinstance(wanted, str) else wanted
    return frozenset(str(name).strip() for name in names) or None


def _settings(metadata: Mapping[str, Any], flavor: str) -> Settings:
    """The parts of the ProxyConfig that generators read; what else it holds is the proxy's own affair."""
    config = _object(metadata, "PROXY_CONFIG")
    settings, mistakes = proxytext.read(json.dumps({key: config[key] for key in _GENERATED if key in config}))
    if settings is None:
        raise nodes.InvalidNodeId(f"node metadata PROXY_CONFIG: {mistakes[0]}")
    return replace(
        from_config(settings),
        idle_timeout=_seconds(metadata.get("IDLE_TIMEOUT")),
        takes_http10=metadata.get("HTTP10") == "1",
        reports_to=str(metadata.get("BLOCKED_REPORTS") or "") if flavor == ENVOY else "",  # ours tells it in its metrics
    )


def _seconds(text: Any) -> float | None:
    try:
        return duration.parse(str(text)) if text else None
    except ValueError as error:
        raise nodes.InvalidNodeId(f"node metadata IDLE_TIMEOUT: {error}") from None


def _locality(node: Any, labels: Mapping[str, Any]) -> str:
    """The node's own word, else that of the workload's label."""
    place = node.locality
    told = "/".join((place.region, place.zone, place.sub_zone)).rstrip("/")
    return told or locality(labels)


def _flavor(node: Any, metadata: Mapping[str, Any]) -> str:
    if metadata.get("GENERATOR") == GRPC or node.user_agent_name.lower().startswith(GRPC):
        return GRPC
    return PYMESH if node.user_agent_name == PYMESH else ENVOY


def _node_id(text: str, flavor: str) -> nodes.NodeId:
    """The node's id; a gRPC client may give itself any name, and then is a client in the default namespace."""
    try:
        return nodes.parse(text)
    except nodes.InvalidNodeId:
        if flavor != GRPC:
            raise
        return nodes.NodeId(nodes.SIDECAR, "", text, "default.svc.cluster.local")


def _ip(metadata: Mapping[str, Any], parsed: nodes.NodeId) -> str:
    return str(metadata.get("INSTANCE_IPS", "")).split(",")[0] or parsed.ip


def _ips(metadata: Mapping[str, Any], parsed: nodes.NodeId) -> tuple[str, ...]:
    known = str(metadata.get("INSTANCE_IPS") or parsed.ip).split(",")
    return tuple(one for one in known if is_ip(one))


def _object(metadata: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A metadata value that is an object, or its JSON text (a plain ISTIO_META_ variable)."""
    value = metadata.get(key, {})
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise nodes.InvalidNodeId(f"node metadata {key}: {error}") from None
    if not isinstance(value, dict):
        raise nodes.InvalidNodeId(f"node metadata {key}: an object is needed, not {value!r}")
    return value


def _inbound(metadata: Mapping[str, Any]) -> Mapping[str, BoundPort] | None:
    if "INBOUND_PORTS" not in metadata:
        return None
    return {name: _bound(name, value) for name, value in _object(metadata, "INBOUND_PORTS").items()}


def _bound(name: str, value: Any) -> BoundPort:
    where = f"INBOUND_PORTS[{name}]"
    if not isinstance(value, dict) or not {"bind", "app"} <= value.keys():
        raise nodes.InvalidNodeId(f"node metadata {where}: an object with bind and app is needed, not {value!r}")
    return BoundPort(bind=_number(value["bind"], where), app=_number(value["app"], where))


def _outbound(metadata: Mapping[str, Any]) -> Mapping[tuple[str, int], int] | None:
    if "OUTBOUND_PORTS" not in metadata:
        return None
    found = {}
    for name, value in _object(metadata, "OUTBOUND_PORTS").items():
        host, _, port = name.rpartition(":")
        found[host.lower(), _number(port, f"OUTBOUND_PORTS[{name}]")] = _number(value, f"OUTBOUND_PORTS[{name}]")
    return found


def _number(value: Any, where: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise nodes.InvalidNodeId(f"node metadata {where}: {value!r} is not a port") from None
    if not 0 <= number <= 65535:
        raise nodes.InvalidNodeId(f"node metadata {where}: {number} is not a port")
    return number
