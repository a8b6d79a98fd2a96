"""Istio's metadata exchange over HTTP: workloads tell each other who they are, in headers that applications never see.

Inbound: take the client's metadata off the request, and put our own on the answer to those who sent theirs. Outbound: put our
own on requests that stay in the mesh, and take the server's off the answer.
"""

from collections.abc import Mapping
from typing import Any

from pymesh.xds import names

from ..http.exchange import Exchange
from ..http.headers import Headers
from ..observe.peers import METADATA, METADATA_ID, Decoder, Peer, encode

INBOUND = "INBOUND"

_OUT_OF_MESH = frozenset({
    "", names.BLACKHOLE_CLUSTER, names.PASSTHROUGH_CLUSTER, names.ALLOW_ANY_DYNAMIC_DNS_CLUSTER, names.INBOUND_PASSTHROUGH_CLUSTER,
})  # fmt: skip


class PeerMetadata:
    """What every filter of a process shares: our own header values and the peers seen so far."""

    def __init__(self, node_id: str, metadata: Mapping[str, Any]) -> None:
        self._own = ((METADATA_ID, node_id.encode()), (METADATA, encode(metadata)))
        self._decoder = Decoder()

    def filter(self, direction: str) -> "InboundFilter | OutboundFilter":
        """The filter of listeners of one traffic direction (`INBOUND`, anything else is outbound: gateways only send)."""
        return InboundFilter(self) if direction == INBOUND else OutboundFilter(self)

    def take(self, head: Headers) -> Peer | None:
        """Remove the exchange's headers and return the peer they describe; None when there is none, or only garbage."""
        raw = head.index.get(METADATA)
        if raw is None:
            head.remove(METADATA_ID)
            return None
        head.remove(METADATA)
        head.remove(METADATA_ID)
        return self._decoder.decode(raw)

    def put(self, head: Headers) -> None:
        """Add our own headers, in place of any that an application copied."""
        for name, value in self._own:
            head.set(name, value)


class InboundFilter:
    """The server's side."""

    __slots__ = ("_shared",)

    def __init__(self, shared: PeerMetadata) -> None:
        self._shared = shared

    def for_route(self, config: object) -> "InboundFilter":
        return self  # there is nothing that a route could say, but that it is off

    def on_request(self, exchange: Exchange) -> None:
        exchange.source_peer = self._shared.take(exchange.head)

    def on_route(self, exchange: Exchange) -> None:
        """Nothing: what goes to the application carries no metadata."""

    def on_response(self, exchange: Exchange) -> None:
        """Our own metadata are told only to clients that told theirs, so that the outside world learns nothing."""
        if exchange.source_peer is not None and exchange.response is not None:
            self._shared.put(exchange.response)

    def on_end(self, exchange: Exchange) -> None:
        """Nothing is held."""


class OutboundFilter:
    """The client's side."""

    __slots__ = ("_shared",)

    def __init__(self, shared: PeerMetadata) -> None:
        self._shared = shared

    def for_route(self, config: object) -> "OutboundFilter":
        return self

    def on_request(self, exchange: Exchange) -> None:
        """An application that copies all headers of its own request must not speak for another workload."""
        self._shared.take(exchange.head)

    def on_route(self, exchange: Exchange) -> None:
        """When the cluster is known and before the head goes upstream."""
        if in_mesh(exchange):
            self._shared.put(exchange.head)

    def on_response(self, exchange: Exchange) -> None:
        if exchange.response is not None:
            peer = self._shared.take(exchange.response)
            exchange.destination_peer = peer if in_mesh(exchange) else None

    def on_end(self, exchange: Exchange) -> None:
        """Nothing is held."""


def in_mesh(exchange: Exchange) -> bool:
    """Whether the exchange's cluster leads to workloads of the mesh: not a special cluster, nor marked `external`."""
    if exchange.cluster is None or exchange.cluster_name in _OUT_OF_MESH:
        return False
    istio = exchange.cluster.config.metadata.get("istio")
    return isinstance(istio, Mapping) and bool(istio.get("services")) and not istio.get("external")
