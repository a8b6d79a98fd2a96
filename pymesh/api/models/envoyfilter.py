"""EnvoyFilter: changes to what is generated for proxies."""

import enum
from typing import Any

from pydantic import Field

from ..types import I32, U32, Model, PolicyTargetReference
from .serviceentry import WorkloadSelector


class ApplyTo(enum.Enum):
    """What a patch changes."""

    INVALID = "INVALID"
    LISTENER = "LISTENER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"
    BOOTSTRAP = "BOOTSTRAP"
    LISTENER_FILTER = "LISTENER_FILTER"


class PatchContext(enum.Enum):
    """Which proxies, and which of their directions."""

    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"
    WAYPOINT = "WAYPOINT"


class PatchOperation(enum.Enum):
    """How a patch changes it."""

    INVALID = "INVALID"
    MERGE = "MERGE"
    ADD = "ADD"
    REMOVE = "REMOVE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"
    REPLACE = "REPLACE"
    MERGE_AND_REPLACE_LIST = "MERGE_AND_REPLACE_LIST"


class FilterClass(enum.Enum):
    """Where an added filter belongs."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class RouteActionKind(enum.Enum):
    """What a route does."""

    ANY = "ANY"
    ROUTE = "ROUTE"
    REDIRECT = "REDIRECT"
    DIRECT_RESPONSE = "DIRECT_RESPONSE"


class SubFilterMatch(Model):
    """A filter within a filter, by name."""

    name: str | None = None


class FilterMatch(Model):
    """A network filter, by name."""

    name: str | None = None
    sub_filter: SubFilterMatch | None = None


class FilterChainMatch(Model):
    """A filter chain of a listener."""

    name: str | None = None
    sni: str | None = None
    transport_protocol: str | None = None
    application_protocols: str | None = None
    filter: FilterMatch | None = None
    destination_port: U32 | None = None


class ListenerMatch(Model):
    """A listener, and what is in it."""

    port_number: U32 | None = None
    port_name: str | None = None
    filter_chain: FilterChainMatch | None = None
    listener_filter: str | None = None
    name: str | None = None


class RouteMatch(Model):
    """A route of a virtual host."""

    name: str | None = None
    action: RouteActionKind | None = None


class VirtualHostMatch(Model):
    """A virtual host of a route configuration."""

    name: str | None = None
    domain_name: str | None = None
    route: RouteMatch | None = None


class RouteConfigurationMatch(Model):
    """A route configuration, and what is in it."""

    port_number: U32 | None = None
    port_name: str | None = None
    gateway: str | None = None
    vhost: VirtualHostMatch | None = None
    name: str | None = None


class ClusterMatch(Model):
    """A cluster, by its name or by what it stands for."""

    port_number: U32 | None = None
    service: str | None = None
    subset: str | None = None
    name: str | None = None


class WaypointRouteMatch(Model):
    """A route of a waypoint."""

    name: str | None = None


class WaypointMatch(Model):
    """A part of a waypoint."""

    port_number: U32 | None = Field(default=None, ge=1, le=65535)
    filter: FilterMatch | None = None
    route: WaypointRouteMatch | None = None


class ProxyMatch(Model):
    """Proxies by version (a regular expression) and node metadata."""

    proxy_version: str | None = None
    metadata: dict[str, str] = {}


class EnvoyConfigObjectMatch(Model):
    """What a patch is for."""

    ONEOFS = (("listener", "route_configuration", "cluster", "waypoint"),)
    context: PatchContext | None = None
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None


class Patch(Model):
    """What is done; `value` is a message of Envoy's API as JSON."""

    operation: PatchOperation | None = None
    value: Any = None
    filter_class: FilterClass | None = None


class EnvoyConfigObjectPatch(Model):
    """One change."""

    apply_to: ApplyTo | None = None
    match: EnvoyConfigObjectMatch | None = None
    patch: Patch | None = None


class EnvoyFilter(Model):
    """The `spec` of an EnvoyFilter; those of lower priority are applied first."""

    workload_selector: WorkloadSelector | None = None
    target_refs: list[PolicyTargetReference] = []
    config_patches: list[EnvoyConfigObjectPatch] = []
    priority: I32 | None = None
