"""The facts of one proxied TCP connection, for the access log and metrics."""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..http.exchange import Downstream

if TYPE_CHECKING:
    from ..observe.peers import Peer
    from ..tls.peer import PeerCertificate
    from ..upstream.cluster import Cluster
    from ..upstream.endpoint import Endpoint


class Phase(enum.Enum):
    OPEN = "open"
    CLOSED = "closed"
FLAGS = ("UH", "UR", "UF", "UO", "NR", "DC", "URX", "DT", "NC")
"""The response flags of TCP connections in the order in which Envoy writes them."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One TCP connection through the proxy. Times are `time.monotonic()` seconds unless they say otherwise."""

    downstream: Downstream
    started: float
    started_wall: float
    phase: Phase = Phase.OPEN
    ended: float = 0.0
    cluster_name: str = ""
    cluster: "Cluster | None" = None
    endpoint: "Endpoint | None" = None
    upstream_local_address: str = ""
    upstream_peer: "PeerCertificate | None" = None
    """The certificate that the upstream showed."""
    upstream_failure: str = ""
    bytes_received: int = 0
    """From the client."""
    bytes_sent: int = 0
    """To the client."""
    flags: str = ""
    details: str = ""
    log_type: str = ""
    """What a log line that is written before the end is about: `TcpUpstreamConnected` or `TcpPeriodic`."""
    source_peer: "Peer | None" = None
    destination_peer: "Peer | None" = None

    def flag(self, *flags: str) -> None:
        """Add response flags."""
        known = {*self.flags.split(","), *flags}
        self.flags = ",".join(flag for flag in FLAGS if flag in known)
