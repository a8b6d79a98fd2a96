"""What compilation needs from the process: where routes are slotted, counters kept and logs written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..filters.services import Services
from ..http.options import HttpStats
from ..http.route_slot import RouteSlot

if TYPE_CHECKING:
    from ..filters import HttpFilter
    from ..http.exchange import Exchange
    from ..tcp.session import Session


class Observers(Protocol):
    """Something that is told of every exchange and session when it has ended: one access log, or Istio's metrics."""

    def http(self, exchange: "Exchange") -> Any:
        """An exchange has ended."""

    def tcp(self, session: "Session") -> Any:
        """A TCP session has opened or ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """How an access log writes its lines; neither `text` nor `json` means Envoy's default line."""

    text: str | None = None
    json: Mapping[str, Any] | None = None
    omit_empty_values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The process's side of compilation. Every callable may be called again for the same name and answers with the same object."""

    route_slot: Callable[[str], RouteSlot]
    http_stats: Callable[[str], HttpStats]
    file_log: Callable[[str, LogFormat], Observers]
    """An access log by path (`/dev/stdout` too); raises ConfigError for a format it does not know."""
    istio_stats: Callable[[str], Observers]
    """Istio's standard metrics, by traffic direction: `INBOUND`, `OUTBOUND` or empty."""
    peer_metadata: "Callable[[str], HttpFilter]"
    """The exchange of workload metadata in headers, by traffic direction."""
    services: Services = field(default_factory=Services)
    """What HTTP filters reach for."""
    service_cluster: str = ""
    """The node's cluster, by which the proxy calls itself where it is asked to."""
    service_node: str = ""
    """The node's id."""
