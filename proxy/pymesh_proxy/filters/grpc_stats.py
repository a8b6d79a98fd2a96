"""What gRPC calls come to, counted by cluster and, for methods that are named, by method. Envoy's `envoy.filters.http.grpc_stats`."""

from typing import TYPE_CHECKING

from ..http.grpc import is_grpc
from ..http.grpc_frames import FrameCounter
from .counts import GrpcCounts

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from .services import Services


class GrpcStatsFilter:
    """Counts every call; `methods` are the prefixes of those that are counted by themselves, by path."""

    __slots__ = ("_methods", "_services")

    def __init__(self, methods: dict[bytes, str], services: "Services") -> None:
        self._methods = methods
        self._services = services

    def for_route(self, config: object) -> "GrpcStatsFilter":
        return self

    def on_request(self, exchange: "Exchange") -> None:
        cluster = exchange.cluster
        if cluster is None or not is_grpc(exchange.head):
            return
        path = exchange.head.path.partition(b"?")[0]
        if len([part for part in path.split(b"/") if part]) != 2:  # it names no service and method
            return
        counts = self._services.counts.of(GrpcCounts, cluster.config.alt_stat_name or exchange.cluster_name)
        prefix = self._methods.get(path, "")
        exchange.note(self, (counts, prefix))
        if not exchange.request_bytes:  # a filter that waits may have let a part of the body come before
            counter = FrameCounter(lambda new: counts.add(prefix + "request_message_count", new))
            exchange.request_tap = counter if exchange.request_tap is None else exchange.request_tap.then(counter)

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: requests are only watched."""

    def on_response(self, exchange: "Exchange") -> None:
        noted = exchange.notes.get(self) if exchange.notes is not None else None
        response = exchange.response
        if noted is None or response is None or response.status != 200 or not is_grpc(response):
            return
        counts, prefix = noted
        exchange.response_messages = FrameCounter(lambda new: counts.add(prefix + "response_message_count", new))

    def on_end(self, exchange: "Exchange") -> None:
        noted = exchange.notes.get(self) if exchange.notes is not None else None
        if noted is None:
            return
        counts, prefix = noted
        if exchange.response is not None:
            _charge(counts, prefix, exchange.response.index.get(b"grpc-status"))
        for name, value in exchange.trailers or ():
            if name.lower() == b"grpc-status":
                _charge(counts, prefix, value)


def _charge(counts: GrpcCounts, prefix: str, status: bytes | None) -> None:
    """One call has ended with a status; one that has none is not counted."""
    if status is None:
        return
    code = status.decode("latin-1")
    if code.isdigit() and len(code) <= 2:  # other upstreams' inventions would be counters without end
        counts.add(prefix + code, 1)
    counts.add(prefix + ("success" if code == "0" else "failure"), 1)
    counts.add(prefix + "total", 1)
