"""HTTPRoute: which requests a parent takes, and what is done with them."""

import enum
from typing import Annotated

from pydantic import Field, Strict

from ...types import Model
from .filters import HTTPRouteFilter, Positive
from .references import BackendRef, GatewayDuration, RouteSpec
from .session import SessionPersistence

RetryCode = Annotated[int, Strict(), Field(ge=400, le=599)]


class PathMatchType(enum.Enum):
    """How a path is compared; a prefix is one of whole segments."""

    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


class MatchType(enum.Enum):
    """How the value of a header or query parameter is compared."""

    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


class HTTPMethod(enum.Enum):
    """Methods that can be asked for."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class HTTPPathMatch(Model):
    """A condition on the path."""

    type: PathMatchType = PathMatchType.PATH_PREFIX
    value: str = "/"


class HTTPHeaderMatch(Model):
    """A condition on a header; of several on one header the first counts."""

    type: MatchType = MatchType.EXACT
    name: str
    value: str


class HTTPQueryParamMatch(Model):
    """A condition on a query parameter; of several on one parameter the first counts."""

    type: MatchType = MatchType.EXACT
    name: str
    value: str


class HTTPRouteMatch(Model):
    """Conditions that hold together."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: list[HTTPHeaderMatch] = []
    query_params: list[HTTPQueryParamMatch] = []
    method: HTTPMethod | None = None


class HTTPBackendRef(BackendRef):
    """One share of a rule's requests, and filters for it alone."""

    filters: list[HTTPRouteFilter] = []


class HTTPRouteTimeouts(Model):
    """Limits of a whole request and of each try; 0 is none."""

    request: GatewayDuration | None = None
    backend_request: GatewayDuration | None = None


class HTTPRouteRetry(Model):
    """When and how often a request is tried again (GEP-1731)."""

    codes: list[RetryCode] = []
    attempts: Positive | None = None
    backoff: GatewayDuration | None = None


class HTTPRouteRule(Model):
    """Requests that match any of `matches`, all when there are none."""

    name: str | None = None
    matches: list[HTTPRouteMatch] = []
    filters: list[HTTPRouteFilter] = []
    backend_refs: list[HTTPBackendRef] = []
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRoute(RouteSpec):
    """The `spec` of an HTTPRoute; no host names mean those of its parents, no rules one that takes everything."""

    hostnames: list[str] = []
    rules: list[HTTPRouteRule] = [HTTPRouteRule()]
