"""VirtualService: how requests and connections to a host are routed."""

import enum

from pydantic import Base64Bytes

from ..types import I32, U32, Bool, Double, Duration, Model, PortSelector, StringMatch


class Destination(Model):
    """A service, one of its subsets, one of its ports."""

    host: str
    subset: str | None = None
    port: PortSelector | None = None


class Percent(Model):
    """0.0 to 100.0."""

    value: Double | None = None


class HeaderOperations(Model):
    """Edits of one direction's headers."""

    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: list[str] = []


class Headers(Model):
    """Edits of the request on its way out and of the answer on its way back."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(Model):
    """One share of a route's requests."""

    destination: Destination
    weight: I32 | None = None
    headers: Headers | None = None


class HTTPMatchRequest(Model):
    """Conditions that hold together."""

    name: str | None = None
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    port: U32 | None = None
    source_labels: dict[str, str] = {}
    gateways: list[str] = []
    query_params: dict[str, StringMatch] = {}
    ignore_uri_case: Bool | None = None
    without_headers: dict[str, StringMatch] = {}
    source_namespace: str | None = None
    stat_prefix: str | None = None


class RedirectPort(enum.Enum):
    """Where the port of a redirect comes from."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPRedirect(Model):
    """An answer that sends the client elsewhere."""

    ONEOFS = (("port", "derive_port"),)
    uri: str | None = None
    prefix_rewrite: str | None = None
    authority: str | None = None
    port: U32 | None = None
    derive_port: RedirectPort | None = None
    scheme: str | None = None
    redirect_code: U32 | None = None


class HTTPBody(Model):
    """The body of a direct response; `bytes` is base64 in the file."""

    ONEOFS = (("string", "bytes"),)
    string: str | None = None
    bytes: Base64Bytes | None = None


class HTTPDirectResponse(Model):
    """An answer given by the proxy itself."""

    status: U32
    body: HTTPBody | None = None


class Delegate(Model):
    """A VirtualService without hosts that holds the routes."""

    name: str | None = None
    namespace: str | None = None


class RegexRewrite(Model):
    """A regular expression and what takes its match's place."""

    match: str | None = None
    rewrite: str | None = None


class HTTPRewrite(Model):
    """What changes in the request's target before it is forwarded."""

    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Model):
    """When and how often a request is tried again."""

    attempts: I32 | None = None
    per_try_timeout: Duration | None = None
    retry_on: str | None = None
    retry_remote_localities: Bool | None = None
    retry_ignore_previous_hosts: Bool | None = None
    backoff: Duration | None = None


class UnmatchedPreflights(enum.Enum):
    """What becomes of a preflight that the policy does not allow."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Model):
    """Cross-origin resource sharing."""

    allow_origin: list[str] = []
    allow_origins: list[StringMatch] = []
    allow_methods: list[str] = []
    allow_headers: list[str] = []
    expose_headers: list[str] = []
    max_age: Duration | None = None
    allow_credentials: Bool | None = None
    unmatched_preflights: UnmatchedPreflights | None = None


class Delay(Model):
    """A fault: wait before forwarding."""

    ONEOFS = (("fixed_delay", "exponential_delay"),)
    percent: I32 | None = None
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percent | None = None


class Abort(Model):
    """A fault: answer with an error instead of forwarding."""

    ONEOFS = (("http_status", "grpc_status", "http2_error"),)
    http_status: I32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(Model):
    """Faults on purpose."""

    delay: Delay | None = None
    abort: Abort | None = None


class HTTPMirrorPolicy(Model):
    """A destination that gets a copy of some requests."""

    destination: Destination
    percentage: Percent | None = None


class HTTPRoute(Model):
    """Requests that match any of `match`, and what is done with them."""

    name: str | None = None
    match: list[HTTPMatchRequest] = []
    route: list[HTTPRouteDestination] = []
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: list[HTTPMirrorPolicy] = []
    mirror_percent: U32 | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class RouteDestination(Model):
    """One share of a route's connections."""

    destination: Destination
    weight: I32 | None = None


class TLSMatchAttributes(Model):
    """Conditions on a TLS connection that is passed through."""

    sni_hosts: list[str]
    destination_subnets: list[str] = []
    port: U32 | None = None
    source_labels: dict[str, str] = {}
    gateways: list[str] = []
    source_namespace: str | None = None


class TLSRoute(Model):
    """TLS connections by server name."""

    match: list[TLSMatchAttributes]
    route: list[RouteDestination] = []


class L4MatchAttributes(Model):
    """Conditions on a TCP connection."""

    destination_subnets: list[str] = []
    port: U32 | None = None
    source_subnet: str | None = None
    source_labels: dict[str, str] = {}
    gateways: list[str] = []
    source_namespace: str | None = None


class TCPRoute(Model):
    """TCP connections."""

    match: list[L4MatchAttributes] = []
    route: list[RouteDestination] = []


class VirtualService(Model):
    """The `spec` of a VirtualService."""

    hosts: list[str] = []
    gateways: list[str] = []
    http: list[HTTPRoute] = []
    tls: list[TLSRoute] = []
    tcp: list[TCPRoute] = []
    export_to: list[str] = []
