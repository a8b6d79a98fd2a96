"""The client's side of an exchange behind something that changes the answer on its way there."""

from typing import TYPE_CHECKING

from .headers import Fields, ResponseHead
from .stream import DownstreamStream, Framing

if TYPE_CHECKING:
    from .stream import UpstreamRequest


class TranslatedStream(DownstreamStream):
    """Passes everything on as it is; its classes say what they change."""

    __slots__ = ("_inner",)

    def __init__(self, inner: DownstreamStream) -> None:
        self._inner = inner

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        self._inner.send_head(response, framing)

    def send_interim(self, response: ResponseHead) -> None:
        self._inner.send_interim(response)

    def send_body(self, data: bytes) -> None:
        self._inner.send_body(data)

    def flush(self) -> None:
        self._inner.flush()

    def send_trailers(self, fields: Fields) -> None:
        self._inner.send_trailers(fields)

    def finish(self) -> None:
        self._inner.finish()

    def abort(self) -> None:
        self._inner.abort()

    def pause_request(self) -> None:
        self._inner.pause_request()

    def resume_request(self) -> None:
        self._inner.resume_request()

    def arm(self, deadline: float) -> None:
        self._inner.arm(deadline)

    def tunnel(self, connection: "UpstreamRequest", early: bytes) -> None:
        self._inner.tunnel(connection, early)
