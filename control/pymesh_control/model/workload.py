"""A running instance: what answers at one address, under which identity and labels."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

TLS_MODE_LABEL = "security.istio.io/tlsMode"
WORKLOAD_NAME_LABEL = "service.istio.io/workload-name"
MUTUAL = "istio"
"""The tlsMode of a workload whose sidecar terminates Istio's mutual TLS."""

_NAME_LABELS = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISION_LABELS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


class Health(enum.StrEnum):
    """Whether an instance wants requests: DRAINING ones only those of sessions that they have. The names are those of EDS."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One instance, declared by a WorkloadEntry, running as a pod, or registered by its proxy's stream."""

    name: str
    namespace: str
    ip: str
    """An IP address, a name for DNS-resolved services, or `unix://` and a path."""
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Service port name to the port that the instance listens on, where it is not the service's target port."""
    locality: str = ""
    """`region/zone/subzone`, any suffix left out."""
    network: str = ""
    node_id: str = ""
    """The id of the proxy that registered it; empty for a declared one."""
    group: str = ""
    """The WorkloadGroup that it registered for, if it did for one."""
    cluster_id: str = "Kubernetes"
    tls_mode: str = "disabled"
    weight: int = 1
    health: Health = Health.HEALTHY
    pod: str = ""
    """Its pod, if it is one."""
    node: str = ""
    """The Kubernetes node that it runs on."""
    container_ports: Mapping[str, int] = field(default_factory=dict)
    """The ports that a pod's containers name."""
    proxyless: bool = False
    """Whether a pod asks for an agent instead of a proxy, because its application speaks xDS itself."""
    host_name: str = ""
    """`<hostname>.<subdomain>` of a pod that has a name of its own under a headless service."""

    @property
    def canonical_name(self) -> str:
        return _first(self.labels, _NAME_LABELS, self.name)

    @property
    def canonical_revision(self) -> str:
        return _first(self.labels, _REVISION_LABELS, "latest")


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every label of the selector is among `labels`; an empty selector selects everything."""
    return all(labels.get(key) == value for key, value in selector.items())


def _first(labels: Mapping[str, str], keys: tuple[str, ...], default: str) -> str:
    return next((labels[key] for key in keys if labels.get(key)), default)
