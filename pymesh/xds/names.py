"""Istio's names for xDS resources; dashboards, `istioctl` and people read them, so they are spelled exactly."""

import re
from dataclasses import dataclass

BLACKHOLE_CLUSTER = "BlackHoleCluster"
LOCAL_CLUSTER = "local_cluster"
"""The members of a proxy's own workload, by which it knows how callers are spread over zones."""
PASSTHROUGH_CLUSTER = "PassthroughCluster"
ALLOW_ANY_DYNAMIC_DNS_CLUSTER = "AllowAnyDynamicDNSCluster"
INBOUND_PASSTHROUGH_CLUSTER = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"
HTTP_PROXY_ROUTE = "http_proxy"
WORKLOAD_SECRET = "default"  # noqa: S105  the name of a secret, not one
ROOT_SECRET = "ROOTCA"  # noqa: S105  the name of a secret, not one


_SNI = re.compile(r"outbound_\.([0-9]{1,5})_\.(.*?)_\.(.+)")


@dataclass(frozen=True, slots=True)
class ClusterName:
    """The parts of `outbound|<port>|<subset>|<host>` and `inbound|<port>||`."""

    direction: str
    port: int
    subset: str
    host: str

    def __str__(self) -> str:
        return f"{self.direction}|{self.port}|{self.subset}|{self.host}"


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}"


def inbound_cluster(port: int) -> str:
    return f"inbound|{port}||"


def parse_cluster(name: str) -> ClusterName | None:
    """The parts of a cluster's name, or None when it has not Istio's form."""
    parts = name.split("|")
    if len(parts) != 4 or parts[0] not in ("outbound", "inbound") or not parts[1].isdecimal():
        return None
    return ClusterName(parts[0], int(parts[1]), parts[2], parts[3])


def sni(host: str, port: int, subset: str = "") -> str:
    """The server name that Istio's mutual TLS sends: `outbound_.<port>_.<subset>_.<host>`."""
    return f"outbound_.{port}_.{subset}_.{host}"


def parse_sni(name: str) -> ClusterName | None:
    """The parts of a server name of Istio's mutual TLS, or None when it has not that form."""
    found = _SNI.fullmatch(name)
    return ClusterName("outbound", int(found[1]), found[2], found[3]) if found else None


_CREDENTIAL = "kubernetes://"


def credential(name: str) -> str:
    """The SDS resource of a secret, `[namespace/]name`, that the control plane hands out."""
    return _CREDENTIAL + name


def parse_credential(name: str) -> tuple[str, str] | None:
    """Namespace (empty for the proxy's own) and name of a secret, or None for another kind of SDS resource."""
    if not name.startswith(_CREDENTIAL):
        return None
    namespace, _, title = name.removeprefix(_CREDENTIAL).rpartition("/")
    return namespace, title
