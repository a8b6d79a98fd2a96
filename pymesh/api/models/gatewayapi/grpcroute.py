"""GRPCRoute: the same for calls of gRPC."""

from ...types import Model
from .filters import GRPCRouteFilter
from .httproute import MatchType
from .references import BackendRef, RouteSpec
from .session import SessionPersistence


class GRPCMethodMatch(Model):
    """A service, a method, or a method of a service."""

    type: MatchType = MatchType.EXACT
    service: str | None = None
    method: str | None = None


class GRPCHeaderMatch(Model):
    """A condition on metadata; of several on one name the first counts."""

    type: MatchType = MatchType.EXACT
    name: str
    value: str


class GRPCRouteMatch(Model):
    """Conditions that hold together."""

    method: GRPCMethodMatch | None = None
    headers: list[GRPCHeaderMatch] = []


class GRPCBackendRef(BackendRef):
    """One share of a rule's calls, and filters for it alone."""

    filters: list[GRPCRouteFilter] = []


class GRPCRouteRule(Model):
    """Calls that match any of `matches`, all when there are none."""

    name: str | None = None
    matches: list[GRPCRouteMatch] = []
    filters: list[GRPCRouteFilter] = []
    backend_refs: list[GRPCBackendRef] = []
    session_persistence: SessionPersistence | None = None


class GRPCRoute(RouteSpec):
    """The `spec` of a GRPCRoute; no host names mean those of its parents."""

    hostnames: list[str] = []
    rules: list[GRPCRouteRule] = []
