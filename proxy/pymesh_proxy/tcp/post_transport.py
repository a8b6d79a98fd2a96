"""The bodies of one exchange as a transport."""

from typing import TYPE_CHECKING, Any

from ..http.body_transport import BodyTransport
from ..http.router import Router
from ..http.stream import Phase

if TYPE_CHECKING:
    from ..runtime import Runtime


class PostTransport(BodyTransport):
    """The bodies of one exchange in the shape of a transport, so that the relay that joins connections joins these."""

    __slots__ = ("_router", "_runtime")

    def __init__(self, runtime: "Runtime", router: Router) -> None:
        super().__init__()
        self._runtime = runtime
        self._router = router

    def write(self, data: Any) -> None:
        if data:  # an empty chunk would be the last one
            self._router.body(bytes(data))

    def write_eof(self) -> None:
        if not self._router.complete:
            self._router.end()

    def close(self) -> None:
        """The request ends behind what was written, and nothing of the answer is wanted any more."""
        self.write_eof()
        self.abort()

    def abort(self) -> None:
        self._router.client_left()
        self._gone(None)

    def is_closing(self) -> bool:
        return self._router.phase is Phase.DONE

    def pause_reading(self) -> None:
        super().pause_reading()
        self._router.pause_answer()

    def resume_reading(self) -> None:
        super().resume_reading()
        if not self._paused:
            self._router.resume_answer()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def ended(self) -> None:
        """The answer is complete; with it the request is over, whatever the client still has to say, and however slowly it reads."""
        while self._held:
            self._deliver(self._held.pop(0))
        if self._protocol is not None:
            self._protocol.eof_received()
        self._gone(None)

    def lost(self) -> None:
        """The answer was cut."""
        self._gone(ConnectionResetError("the answer was cut"))

    def hold(self, *, paused: bool) -> None:
        """Whether the upstream is too slow for what is written."""
        if self._protocol is None:
            return
        if paused:
            self._protocol.pause_writing()
        else:
            self._protocol.resume_writing()

    def _gone(self, exc: Exception | None) -> None:
        protocol = self._part()
        if protocol is not None:
            self._runtime.loop.call_soon(protocol.connection_lost, exc)
