"""Istio's environment variables read into one frozen value, with all mistakes told at once.

The names are those that Istio's injector writes into a sidecar container, so that its templates fit our proxy.
Nothing is opened or resolved here: paths stay paths, addresses stay names.
"""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import address as addresses
from .. import identity
from ..address import Address
from ..xds import node
from . import duration
from .proxy_config import AuthPolicy, ProxyConfig
from .proxy_config import parse as parse_proxy_config

PLAINTEXT_XDS_PORT = 15010
DEFAULT_ROOT = "./var/run/secrets/istio/root-cert.pem"
DEFAULT_TOKEN = "./var/run/secrets/tokens/istio-token"  # noqa: S105  a path, not a token
DEFAULT_DNS_ADDRESS = "localhost:15053"
DNS_CAPTURE = "ISTIO_META_DNS_CAPTURE"
_ON = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_OFF = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_META = "ISTIO_META_"
_META_JSON = "ISTIO_METAJSON_"


def is_on(value: Any) -> bool:
    """Whether the text of a variable or of node metadata, or a value of JSON, is one of those that Go takes for true."""
    return str(value) in _ON


class InvalidEnvironment(ValueError):
    """The variables cannot make a sidecar; `problems` has one sentence for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSettings:
    """The DNS server of a sidecar."""

    listen: Address
    """An IP address, or `localhost` for all of the loopback addresses."""
    parallel: bool
    """Whether all of the machine's servers are asked at once."""
    resolv_conf: Path
    """Where these servers and the search domains stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a sidecar needs to know before it talks to anybody. Durations are seconds."""

    node_id: node.NodeId
    service_cluster: str
    metadata: dict[str, Any]
    identity: identity.SpiffeId
    discovery: Address
    discovery_tls: bool
    discovery_root: Path
    ca: Address
    ca_root: Path
    token_file: Path
    proxy: ProxyConfig
    prometheus_port: int
    health_port: int
    secret_ttl: float
    rotation_ratio: float
    """The part of a certificate's life after which it is replaced is `1 - rotation_ratio` (SECRET_GRACE_PERIOD_RATIO)."""
    rsa_bits: int | None
    """WORKLOAD_RSA_KEY_SIZE; None means an EC P-256 key."""
    delta_xds: bool
    """Whether the bootstrap asks for what changes (delta), or for the state of the world."""
    self_discovery: bool
    """Whether it learns where its like run, so that its requests can stay in their zone."""
    dns: DnsSettings | None
    """None for a sidecar that answers no DNS queries, and for gateways, which never do."""
    unread: tuple[str, ...]
    """The variables of `proxyMetadata` that nothing here reads: Istio's agent may, and its container's other programs."""

    @property
    def warnings(self) -> list[str]:
        """A sentence for each setting that is without effect and no mistake."""
        return [f"PROXY_CONFIG.proxyMetadata.{name} has no effect: nothing here reads it" for name in self.unread]

    @property
    def listen_hosts(self) -> tuple[str, ...]:
        """Where to listen for the machine's own needs: a mesh on loopback stays there, a pod is asked on whatever addresses it has."""
        own = self.node_id.ip
        if ipaddress.ip_address(own).is_loopback:
            return (own,)
        known = (one for one in (own, *str(self.metadata.get("INSTANCE_IPS", "")).split(",")) if addresses.is_ip(one))
        return tuple(dict.fromkeys("::" if ":" in one else "0.0.0.0" for one in known))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], node_type: str | None = None) -> "Settings":
        """Read the variables; `node_type` (`sidecar` or `router`) wins over PYMESH_NODE_TYPE. Raises InvalidEnvironment."""
        proxy, problems = parse_proxy_config(environ.get("PROXY_CONFIG", ""))
        reader = _Reader({**proxy.proxy_metadata, **environ}, problems)
        settings = _settings(reader, proxy, node_type)
        if reader.problems:
            raise InvalidEnvironment(reader.problems)
        return settings


class _Reader:
    """Typed access to the variables. A mistake is noted and a stand-in returned, so that reading goes on to the next one."""

    def __init__(self, variables: Mapping[str, str], problems: list[str]) -> None:
        self.variables = variables
        self.problems = problems
        self.asked: set[str] = set()

    def text(self, name: str, default: str) -> str:
        self.asked.add(name)
        return self.variables.get(name) or default

    def required(self, name: str, stand_in: str) -> str:
        self.asked.add(name)
        if not (value := self.variables.get(name)):
            self.problems.append(f"{name} is not set")
        return value or stand_in

    def seconds(self, name: str, default: float) -> float:
        try:
            return duration.parse(self.text(name, f"{default}s"))
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name, str(default))
        if text.isascii() and text.isdigit() and low <= int(text) <= high:
            return int(text)
        self.problems.append(f"{name}: {text!r} is not a number from {low} to {high}")
        return default

    def ratio(self, name: str, default: float) -> float:
        try:
            value = float(self.text(name, str(default)))
        except ValueError:
            value = -1.0
        if 0 < value < 1:
            return value
        self.problems.append(f"{name}: {self.variables[name]!r} is not a number between 0 and 1")
        return default

    def boolean(self, name: str, default: str = "false") -> bool:
        """A truth value as Go reads it."""
        text = self.text(name, default)
        if text not in _ON | _OFF:
            self.problems.append(f"{name}: {text!r} is neither true nor false")
        return is_on(text)

    def only(self, name: str, supported: str) -> bool:
        """Whether a variable is set to the one value that can be honoured."""
        value = self.text(name, "")
        if value not in ("", supported):
            self.problems.append(f"{name}: {value!r} is not supported, only {supported}")
        return value == supported

    def address(self, source: str, text: str) -> Address:
        try:
            address = addresses.parse(text)
        except ValueError:
            address = Address("", 0)
        if address.host and address.port:
            return address
        self.problems.append(f"{source}: {text!r} is not <host>:<port>")
        return Address("invalid", 1)

    def ip(self, name: str) -> str:
        text = self.required(name, "127.0.0.1")
        if not addresses.is_ip(text):
            self.problems.append(f"{name}: {text!r} is not an IP address")
        return text


def _settings(reader: _Reader, proxy: ProxyConfig, node_type: str | None) -> Settings:
    namespace = reader.required("POD_NAMESPACE", "default")
    account = reader.text("SERVICE_ACCOUNT", "default")
    metadata = _metadata(reader, proxy, namespace, account)
    discovery = reader.address("PROXY_CONFIG.discoveryAddress", proxy.discovery_address)
    root = reader.text("CA_ROOT_CA", DEFAULT_ROOT)
    node_id = _node_id(reader, namespace, node_type)
    return Settings(
        node_id=node_id,
        service_cluster=proxy.service_cluster or _service_cluster(metadata, namespace),
        metadata=metadata,
        identity=_identity(reader, namespace, account),
        discovery=discovery,
        discovery_tls=proxy.control_plane_auth_policy is AuthPolicy.MUTUAL_TLS and discovery.port != PLAINTEXT_XDS_PORT,
        discovery_root=Path(reader.text("XDS_ROOT_CA", root)),
        ca=reader.address("CA_ADDR", ca) if (ca := reader.text("CA_ADDR", "")) else discovery,
        ca_root=Path(root),
        token_file=Path(reader.text("PYMESH_TOKEN_FILE", DEFAULT_TOKEN)),
        proxy=proxy,
        prometheus_port=reader.integer(_META + "ENVOY_PROMETHEUS_PORT", 15090, 1, 65535),
        health_port=reader.integer(_META + "ENVOY_STATUS_PORT", 15021, 1, 65535),
        secret_ttl=reader.seconds("SECRET_TTL", 86400.0),
        rotation_ratio=reader.ratio("SECRET_GRACE_PERIOD_RATIO", 0.5),
        rsa_bits=_rsa_bits(reader),
        delta_xds=reader.boolean("ISTIO_DELTA_XDS", "true"),
        self_discovery=reader.boolean(_META + "ENABLE_SELF_DISCOVERY"),
        dns=_dns(reader, node_id),
        unread=_unread(reader, proxy),
    )


def _unread(reader: _Reader, proxy: ProxyConfig) -> tuple[str, ...]:
    """What nobody has asked the reader for, when all has been read."""
    return tuple(name for name in sorted(proxy.proxy_metadata.keys() - reader.asked) if not name.startswith((_META, _META_JSON)))


def _dns(reader: _Reader, node_id: node.NodeId) -> DnsSettings | None:
    listen = reader.address("DNS_PROXY_ADDR", reader.text("DNS_PROXY_ADDR", DEFAULT_DNS_ADDRESS))
    if not listen.is_ip and listen.host not in ("localhost", "invalid"):
        reader.problems.append(f"DNS_PROXY_ADDR: {listen.host!r} is neither an IP address nor localhost")
    settings = DnsSettings(
        listen=listen,
        parallel=reader.boolean("DNS_FORWARD_PARALLEL"),
        resolv_conf=Path(reader.text("PYMESH_RESOLV_CONF", "/etc/resolv.conf")),
    )
    return settings if reader.boolean(DNS_CAPTURE) and node_id.type == node.SIDECAR else None


def _rsa_bits(reader: _Reader) -> int | None:
    """Istio's defaults turned round: EC P-256 unless RSA is asked for, whose signatures make handshakes dearer."""
    wants_ec = reader.only("ECC_SIGNATURE_ALGORITHM", "ECDSA")
    reader.only("ECC_CURVE", "P256")
    wants_rsa = bool(reader.text("WORKLOAD_RSA_KEY_SIZE", ""))
    return reader.integer("WORKLOAD_RSA_KEY_SIZE", 2048, 2048, 8192) if wants_rsa and not wants_ec else None


def _node_id(reader: _Reader, namespace: str, node_type: str | None) -> node.NodeId:
    kind = node_type or reader.text("PYMESH_NODE_TYPE", node.SIDECAR)
    if kind not in node.TYPES:
        reader.problems.append(f"PYMESH_NODE_TYPE: {kind!r} is none of {', '.join(sorted(node.TYPES))}")
    pod = reader.required("POD_NAME", "pod")
    return node.NodeId(kind, reader.ip("INSTANCE_IP"), f"{pod}.{namespace}", f"{namespace}.svc.cluster.local")


def _identity(reader: _Reader, namespace: str, account: str) -> identity.SpiffeId:
    trust_domain = reader.text("TRUST_DOMAIN", identity.DEFAULT_TRUST_DOMAIN)
    try:
        return identity.workload_id(namespace, account, trust_domain)
    except identity.InvalidSpiffeId as error:
        reader.problems.append(f"TRUST_DOMAIN, POD_NAMESPACE and SERVICE_ACCOUNT make no SPIFFE id: {error}")
        return identity.workload_id("default", "default")


def _metadata(reader: _Reader, proxy: ProxyConfig, namespace: str, account: str) -> dict[str, Any]:
    """Node metadata: what the pod is, what ProxyConfig adds, then ISTIO_META_* and ISTIO_METAJSON_*, later ones winning."""
    metadata: dict[str, Any] = {
        "NAME": reader.text("POD_NAME", "pod"),
        "NAMESPACE": namespace,
        "SERVICE_ACCOUNT": account,
        "INSTANCE_IPS": reader.text("INSTANCE_IPS", reader.text("INSTANCE_IP", "127.0.0.1")),
    }
    if proxy.interception_mode:
        metadata["INTERCEPTION_MODE"] = proxy.interception_mode.value
    if proxy.generated:
        metadata["PROXY_CONFIG"] = proxy.generated
    if proxy.mesh_id:
        metadata["MESH_ID"] = proxy.mesh_id
    for name, value in sorted(reader.variables.items()):
        if name.startswith(_META):
            metadata[name.removeprefix(_META)] = value
        elif name.startswith(_META_JSON):
            metadata[name.removeprefix(_META_JSON)] = _json(reader, name, value)
    if not isinstance(metadata.get("LABELS", {}), dict):
        reader.problems.append(f"{_META_JSON}LABELS: not a JSON object of label to value")
    return metadata


def _json(reader: _Reader, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        reader.problems.append(f"{name}: not JSON: {error}")
        return {}


def _service_cluster(metadata: dict[str, Any], namespace: str) -> str:
    """Istio's APP_LABEL_AND_NAMESPACE: the name under which traces and Envoy's own stats know the workload."""
    labels = metadata.get("LABELS")
    app = labels.get("app") if isinstance(labels, dict) else None
    return f"{app or 'istio-proxy'}.{namespace}"
