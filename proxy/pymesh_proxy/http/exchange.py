"""One request and its answer: the facts that filters, the access log, metrics and `rescue` read.

It holds facts only; the two connections move bytes and write down here what happened. Times are `time.monotonic()` seconds
unless they say otherwise; byte counts are bodies, `*_wire_bytes` count heads too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .headers import Fields, RequestHead, ResponseHead

if TYPE_CHECKING:
    from ..observe.peers import Peer
    from ..route.table import Route
    from ..tls.override import TlsOverride
    from ..tls.peer import PeerCertificate
    from ..upstream.cluster import Cluster
    from ..upstream.config import SourceAddress
    from ..upstream.endpoint import Endpoint
    from .grpc_frames import BodyTap, FrameCounter


@dataclass(slots=True, kw_only=True)
class Downstream:
    """What is known of a client's connection; one object per connection, shared by its exchanges."""

    remote_address: str
    """`ip:port` of the TCP peer, or the source that a PROXY header named."""
    local_address: str
    """`ip:port` that the client meant to reach: the original destination when it was recovered."""
    connection_id: int = 0
    listener: str = ""
    filter_chain: str = ""
    direction: str = ""
    """`INBOUND`, `OUTBOUND` or empty, the listener's traffic_direction."""
    tls_version: str = ""
    sni: str = ""
    peer: "PeerCertificate | None" = None
    """The client's verified certificate."""
    local_uri_san: str = ""
    """Our own SPIFFE id, as the certificate we showed says it."""
    original_destination: tuple[str, int] | None = None
    restored_destination: tuple[str, int] | None = None
    """The same, where it is not just the address that was connected to: what a redirect or a PROXY header replaced."""
    direct_remote_address: str = ""
    """`ip:port` of the TCP peer."""
    proxied_tlvs: tuple[tuple[int, bytes], ...] = ()
    """What a PROXY header carried besides, as far as it is passed on."""
    crowded: bool = False
    """So many answers are under way on the connection, or wait for it, that each is to be read from its upstream in small pieces."""
    buffer_limit: int = 1024 * 1024
    """The listener's per_connection_buffer_limit_bytes."""
    transport_failure: str = ""
    """Why the handshake failed."""
    notes: dict[Any, Any] | None = None
    """What filters remember of the connection."""
    kept_source: "SourceAddress | None" = None
    """From which address endpoints are called for it, where that is to be its client's."""

    def __post_init__(self) -> None:
        self.direct_remote_address = self.direct_remote_address or self.remote_address


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "attempt", "cluster", "cluster_name", "destination_peer", "details", "downstream", "endpoint", "flags", "head", "insists", "notes",
        "override", "preferred", "protocol", "remote_address",
        "request_bytes", "request_tap", "request_wire_bytes", "response", "response_bytes", "response_messages",
        "response_started", "response_wire_bytes", "route", "source_peer", "started", "started_wall", "status",
        "trailers", "upstream_failure", "upstream_local_address", "upstream_peer",
    )  # fmt: skip

    def __init__(self, downstream: Downstream, head: RequestHead, started: float, started_wall: float) -> None:
        self.downstream = downstream
        self.head = head
        self.started = started
        self.started_wall = started_wall
        """Seconds since the epoch, for log lines."""
        self.remote_address = downstream.remote_address
        """The trusted client address, after x-forwarded-for rules."""
        self.protocol = "HTTP/1.1"
        self.route: Route | None = None
        self.cluster_name = ""
        self.cluster: Cluster | None = None
        self.endpoint: Endpoint | None = None
        self.override: TlsOverride | None = None
        """What the request asks of the upstream's TLS, in the place of what the cluster says."""
        self.preferred = ""
        """The address of the endpoint to which the request's session belongs; empty for none."""
        self.insists = False
        """Whether no other endpoint will do."""
        self.upstream_local_address = ""
        self.upstream_failure = ""
        """Why the upstream connection failed, for UPSTREAM_TRANSPORT_FAILURE_REASON."""
        self.upstream_peer: PeerCertificate | None = None
        """The upstream's verified certificate."""
        self.attempt = 1
        self.response: ResponseHead | None = None
        self.trailers: Fields | None = None
        """The answer's trailers."""
        self.response_started = 0.0
        """When the first upstream byte of the answer came; 0 if none did."""
        self.status = 0
        """The status sent downstream; 0 if the client left first."""
        self.flags = ""
        """Response flags, comma-joined (`UH`, `URX,UF`); empty means none."""
        self.details = ""
        """Envoy's response code details, `via_upstream` for a proxied answer."""
        self.request_bytes = 0
        self.response_bytes = 0
        self.request_wire_bytes = 0
        """The request's head and body as they went upstream."""
        self.response_wire_bytes = 0
        """The answer's head and body as they went down."""
        self.source_peer: Peer | None = None
        """The workload that sent the request, as its metadata exchange header tells (inbound)."""
        self.destination_peer: Peer | None = None
        """The workload that answered, as its metadata exchange header tells (outbound)."""
        self.request_tap: BodyTap | None = None
        """What the request's body goes through, if a filter wants that."""
        self.response_messages: FrameCounter | None = None
        """Counts the messages of a gRPC call, likewise."""
        self.notes: dict[Any, Any] | None = None
        """What filters remember of this exchange, each by itself; made when first needed."""

    def flag(self, flags: str) -> None:
        """Set response flags, behind those that are set: Envoy tells them in the order in which they came."""
        self.flags = f"{self.flags},{flags}" if self.flags and flags else flags or self.flags

    def note(self, key: Any, value: Any) -> None:
        """Remember something of this exchange."""
        if self.notes is None:
            self.notes = {}
        self.notes[key] = value

    def __repr__(self) -> str:
        return f"<Exchange {self.head!r} -> {self.cluster_name or '-'} {self.status or '...'} {self.flags or '-'}>"
