"""One request and its answer: the facts that filters, the access log, metrics and `rescue` read.

It holds facts only; the two connections move bytes and write down here what happened. Times are `time.monotonic()` seconds
unless they say otherwise; byte counts are bodies, `*_wire_bytes` count heads too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .headers import RequestHead, ResponseHead

if TYPE_CHECKING:
    from ..observe.peers import Peer
    from ..route.table import Route
    from ..tls.peer import PeerCertificate
    from ..upstream.cluster import Cluster, Endpoint


@dataclass(slots=True, kw_only=True)
class Downstream:
    """What is known of a client's connection; one object per connection, shared by its exchanges."""

    remote_address: str
    """`ip:port` of the TCP peer (or the PROXY protocol's source)."""
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


class Exchange:
    """One request and its answer. What most exchanges never set stands in the class, so that making one is cheap."""

    protocol = "HTTP/1.1"
    route: "Route | None" = None
    cluster_name = ""
    cluster: "Cluster | None" = None
    endpoint: "Endpoint | None" = None
    upstream_local_address = ""
    upstream_failure = ""
    """Why the upstream connection failed, for UPSTREAM_TRANSPORT_FAILURE_REASON."""
    attempt = 1
    response: ResponseHead | None = None
    response_started = 0.0
    """When the first upstream byte of the answer came; 0 if none did."""
    status = 0
    """The status sent downstream; 0 if the client left first."""
    flags = ""
    """Response flags, comma-joined (`UH`, `URX,UF`); empty means none."""
    details = ""
    """Envoy's response code details, `via_upstream` for a proxied answer."""
    termination_details = ""
    request_bytes = 0
    response_bytes = 0
    request_wire_bytes = 0
    response_wire_bytes = 0
    source_peer: "Peer | None" = None
    """The workload that sent the request, as its metadata exchange header tells (inbound)."""
    destination_peer: "Peer | None" = None
    """The workload that answered, as its metadata exchange header tells (outbound)."""

    def __init__(self, downstream: Downstream, head: RequestHead, started: float, started_wall: float) -> None:
        self.downstream = downstream
        self.head = head
        self.started = started
        self.started_wall = started_wall
        """Seconds since the epoch, for log lines."""
        self.remote_address = downstream.remote_address
        """The trusted client address, after x-forwarded-for rules."""

    def __repr__(self) -> str:
        return f"<Exchange {self.head!r} -> {self.cluster_name or '-'} {self.status or '...'} {self.flags or '-'}>"
