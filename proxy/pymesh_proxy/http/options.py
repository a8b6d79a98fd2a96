"""What an HttpConnectionManager says, compiled: one frozen object that the connection reads its limits and rules from.

Field names and defaults are Envoy's (HttpConnectionManager v3); times are seconds, 0 means off, sizes are bytes.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..filters.chain import FilterChain
from ..http2.settings import Http2Options
from .route_slot import RouteSlot

if TYPE_CHECKING:
    from .exchange import Exchange
    from .local_reply import LocalReplies


HOP_BY_HOP: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
"""Headers that mean one connection only (RFC 9110 7.6.1)."""


class ServerHeader(enum.Enum):
    OVERWRITE = 0
    APPEND_IF_ABSENT = 1
    PASS_THROUGH = 2


class EscapedSlashes(enum.Enum):
    KEEP_UNCHANGED = 1
    REJECT_REQUEST = 2
    UNESCAPE_AND_REDIRECT = 3
    UNESCAPE_AND_FORWARD = 4


class ClientCert(enum.Enum):
    """forward_client_cert_details: what becomes of x-forwarded-client-cert."""

    SANITIZE = 0
    FORWARD_ONLY = 1
    APPEND_FORWARD = 2
    SANITIZE_SET = 3
    ALWAYS_FORWARD_ONLY = 4


class Underscores(enum.Enum):
    ALLOW = 0
    REJECT_REQUEST = 1
    DROP_HEADER = 2


class Codec(enum.Enum):
    """codec_type: what clients may speak."""

    AUTO = 0
    HTTP1 = 1
    HTTP2 = 2


@dataclass(slots=True, kw_only=True)
class HttpStats:
    """Counters of one stat prefix (`http.<prefix>.*`), plain ints that the admin turns into text."""

    prefix: str
    downstream_cx_total: int = 0
    downstream_cx_active: int = 0
    downstream_rq_total: int = 0
    downstream_rq_active: int = 0
    downstream_rq_1xx: int = 0
    downstream_rq_2xx: int = 0
    downstream_rq_3xx: int = 0
    downstream_rq_4xx: int = 0
    downstream_rq_5xx: int = 0
    downstream_cx_protocol_error: int = 0
    downstream_cx_drain_close: int = 0
    downstream_cx_rx_bytes_total: int = 0
    downstream_cx_tx_bytes_total: int = 0
    downstream_rq_timeout: int = 0
    downstream_rq_rx_reset: int = 0
    no_route: int = 0

    def ended(self, status: int) -> None:
        """One exchange fewer is active, and one more of its status class has ended."""
        self.downstream_rq_active -= 1
        if 200 <= status < 300:
            self.downstream_rq_2xx += 1
        elif status >= 500:
            self.downstream_rq_5xx += 1
        elif status >= 400:
            self.downstream_rq_4xx += 1
        elif status >= 300:
            self.downstream_rq_3xx += 1
        else:
            self.downstream_rq_1xx += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """One HttpConnectionManager."""

    route: RouteSlot
    stats: HttpStats
    chain: FilterChain = field(default_factory=FilterChain)
    """The filters before the router, in order."""
    observers: "tuple[Callable[[Exchange], Any], ...]" = ()
    """Called once when an exchange has ended: access logs and metrics."""
    server_name: bytes = b"envoy"
    server_header: ServerHeader = ServerHeader.OVERWRITE
    use_remote_address: bool = False
    xff_num_trusted_hops: int = 0
    skip_xff_append: bool = False
    append_x_forwarded_port: bool = False
    """Whether requests are told at which port they arrived, unless somebody who is believed has told them."""
    internal: "Callable[[bytes], bool] | None" = None
    """Whether an address, as text, is within (internal_address_config); None where none is."""
    via: bytes = b""
    generate_request_id: bool = True
    preserve_external_request_id: bool = False
    always_set_request_id_in_response: bool = False
    forward_client_cert: ClientCert = ClientCert.SANITIZE
    client_cert_subject: bool = False
    client_cert_uri: bool = False
    client_cert_dns: bool = False
    client_cert_cert: bool = False
    normalize_path: bool = False
    merge_slashes: bool = False
    escaped_slashes: EscapedSlashes = EscapedSlashes.KEEP_UNCHANGED
    strip_matching_host_port: bool = False
    strip_any_host_port: bool = False
    strip_trailing_host_dot: bool = False
    accept_http_10: bool = False
    default_host_for_http_10: bytes = b""
    allow_absolute_url: bool = True
    enable_trailers: bool = False
    """Pass trailers on, both ways; a cluster has a switch of its own for its side."""
    proxy_100_continue: bool = False
    """`Expect: 100-continue` and interim answers go through, instead of being answered and dropped here."""
    proper_case: bool = False
    """Names of headers go down with capital letters where words begin."""
    user_agent: bytes = b""
    """Presented to upstreams where the client named none (add_user_agent)."""
    service_node: bytes = b""
    underscores: Underscores = Underscores.ALLOW
    max_request_headers: int = 60 * 1024
    max_headers_count: int = 100
    stream_error: bool = False
    """A message that is wrong, but whose end is known, ends its exchange only and not the connection."""
    max_requests_per_connection: int = 0
    idle_timeout: float = 3600.0
    stream_idle_timeout: float = 300.0
    request_headers_timeout: float = 0.0
    request_timeout: float = 0.0
    """For a request's last byte, from its first."""
    max_stream_duration: float = 0.0
    max_connection_duration: float = 0.0
    safe_connection_duration: bool = False
    """A connection that has lived long enough is closed with an answer only, never while it is idle."""
    drain_timeout: float = 5.0
    """How long a client may take to notice an HTTP/2 connection's first GOAWAY."""
    delayed_close_timeout: float = 1.0
    codec: Codec = Codec.AUTO
    http2: Http2Options = field(default_factory=Http2Options)
    upgrades: frozenset[bytes] = field(default_factory=frozenset)
    """Upgrade tokens in lower case that are passed through (`websocket`)."""
    upgrade_chains: Mapping[bytes, FilterChain] = field(default_factory=dict)
    """The filters of requests for upgrades that have their own (upgrade_configs.filters), by the same tokens."""
    local_replies: "LocalReplies | None" = None
    """What becomes of answers that are made here, if they are changed."""
    suppress_envoy_headers: bool = False
    """The router filter's switch: no x-envoy-* headers of its own."""
    rewrites_target: bool = field(init=False)
    """Whether any option changes a request's host or path before it is routed."""
    decorates: bool = field(init=False)
    """Whether every answer passes through filters, or gets the request's id."""
    limits_connection: bool = field(init=False)
    """Whether a connection ends after a number of requests or a time."""
    response_drop: frozenset[bytes] = field(init=False)
    """What an upstream may not say in our name: hop-by-hop headers, the time that we measure, perhaps our server header."""

    def __post_init__(self) -> None:
        host = self.strip_matching_host_port or self.strip_any_host_port or self.strip_trailing_host_dot
        path = self.normalize_path or self.merge_slashes or self.escaped_slashes is not EscapedSlashes.KEEP_UNCHANGED
        object.__setattr__(self, "rewrites_target", host or path)
        filtered = any(chain.links for chain in (self.chain, *self.upgrade_chains.values()))
        object.__setattr__(self, "decorates", filtered or self.always_set_request_id_in_response)
        object.__setattr__(self, "limits_connection", bool(self.max_requests_per_connection or self.max_connection_duration))
        ours = {b"x-envoy-upstream-service-time"} | ({b"server"} if self.server_header is ServerHeader.OVERWRITE else set())
        object.__setattr__(self, "response_drop", HOP_BY_HOP | ours)
