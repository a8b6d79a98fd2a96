"""Calls of gRPC-Web as calls of gRPC. Envoy's `envoy.filters.http.grpc_web`."""

from typing import TYPE_CHECKING

from ..http.grpc import TRANSLATED
from ..http.grpc_web import BINARY, TEXT, GrpcWebAnswer, TextRequest
from . import Translation

if TYPE_CHECKING:
    from ..http.exchange import Exchange


class GrpcWebFilter:
    """Translates requests with the content type of gRPC-Web; all others pass it by."""

    __slots__ = ()

    def for_route(self, config: object) -> "GrpcWebFilter":
        return self

    def on_request(self, exchange: "Exchange") -> Translation | None:
        head = exchange.head
        kind = head.index.get(b"content-type")
        if kind not in BINARY and kind not in TEXT:
            return None
        head.remove(b"content-length")
        head.set(b"content-type", b"application/grpc")
        head.set(b"te", b"trailers")
        head.set(b"grpc-accept-encoding", b"identity")
        exchange.note(TRANSLATED, True)
        text = head.index.get(b"accept") in TEXT
        return Translation(
            request=TextRequest() if kind in TEXT else None,
            unsized=True,
            answer=lambda downstream: GrpcWebAnswer(downstream, exchange, text=text),
        )

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: the request is translated already."""

    def on_response(self, exchange: "Exchange") -> None:
        """Nothing: the answer is translated as a whole, on its way down."""

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing: nothing is remembered."""
