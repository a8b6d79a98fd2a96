"""Sidecar: what a workload's proxy listens on, and which services it knows of."""

import enum

from ..types import U32, Model
from .destinationrule import ConnectionPoolSettings
from .gateway import ServerTLSSettings
from .serviceentry import WorkloadSelector
from .virtualservice import Destination


class CaptureMode(enum.Enum):
    """How connections come to a listener; DEFAULT is what the node says."""

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class SidecarPort(Model):
    """A port of a listener."""

    number: U32 | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: U32 | None = None


class IstioIngressListener(Model):
    """A port on which the proxy takes connections for the application."""

    port: SidecarPort
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    default_endpoint: str | None = None
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Model):
    """A port on which the proxy takes the application's calls, and the services behind it (`namespace/name`)."""

    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    hosts: list[str]


class SidecarOutboundMode(enum.Enum):
    """What happens to calls for hosts that the proxy does not know."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class SidecarOutboundPolicy(Model):
    """The mesh's policy, for one workload."""

    mode: SidecarOutboundMode | None = None
    egress_proxy: Destination | None = None


class Sidecar(Model):
    """The `spec` of a Sidecar; no selector means all workloads of the namespace."""

    workload_selector: WorkloadSelector | None = None
    ingress: list[IstioIngressListener] = []
    egress: list[IstioEgressListener] = []
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: SidecarOutboundPolicy | None = None
