"""The clocks of an exchange: the route's timeout, the stream's silence and length, and those of the attempt under way.

They stand in the wheel as one deadline, the earliest; `on_deadline` finds out which it was.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from ..errors import Cause
from ..route.table import Forward
from ..wheel import NEVER
from .exchange import Exchange
from .headers import RequestHead
from .options import HttpOptions
from .stream import DownstreamStream, Phase, UpstreamStream
from .try_times import TryTimes

if TYPE_CHECKING:
    from ..runtime import Runtime

_ANSWERING: Final = Phase.ANSWERING
_DONE: Final = Phase.DONE


class Times(UpstreamStream):
    """An exchange, as the wheel sees it."""

    __slots__ = (
        "_active", "_downstream", "_expires", "_forward", "_runtime", "_timeout", "_try_times", "ends", "exchange", "options", "phase",
    )  # fmt: skip

    def __init__(self, runtime: "Runtime", options: HttpOptions, downstream: DownstreamStream, exchange: Exchange) -> None:
        self._runtime = runtime
        self.options = options
        self._downstream = downstream
        self.exchange = exchange
        self.phase = Phase.ROUTING
        self._forward: Forward | None = None
        self._timeout = 0.0
        """Seconds from the end of the request to the end of the answer; 0 for no limit."""
        self._expires = NEVER
        self._try_times: TryTimes | None = None
        """The clocks of the attempt under way, if it has any of its own."""
        self.ends = NEVER
        """Loop time at which the stream has lasted too long, whatever it is doing (max_stream_duration)."""
        self._active = 0.0
        """Loop time of the last sign of life."""

    @abstractmethod
    def on_timeout(self, cause: Cause) -> None:
        """The exchange has run out of time; so ends all of it."""

    @abstractmethod
    def on_try_over(self, cause: Cause) -> None:
        """The attempt has run out of time; there may be another."""

    @property
    def head(self) -> RequestHead:
        return self.exchange.head

    @property
    def answering(self) -> bool:
        """Whether an answer has begun to go down."""
        return self.phase >= _ANSWERING

    def start_clock(self, now: float) -> None:
        """The request is complete: the route's timeout runs from here to the end of the answer, and so do those of the attempt."""
        if self._timeout:
            self._expires = now + self._timeout
        if self._try_times is not None:
            self._try_times.complete(now)
        self._arm(now)

    def _arm(self, active: float) -> None:
        """The earliest of the timeouts; `active` is when there was the last sign of life."""
        idle = self.idle_timeout()
        deadline = active + idle if idle else NEVER
        if self._expires < deadline:
            deadline = self._expires
        if self.ends < deadline:
            deadline = self.ends
        if self._try_times is not None:
            deadline = min(deadline, self._try_times.deadline(active))
        self._downstream.arm(deadline)

    def idle_timeout(self) -> float:
        """Seconds without a sign of life that end the stream; 0 for none."""
        forward = self._forward
        if forward is not None and forward.idle_timeout is not None:
            return forward.idle_timeout
        return self.options.stream_idle_timeout

    def on_deadline(self, now: float) -> None:
        """The earliest of the timeouts, or activity has moved it."""
        if self.phase is _DONE:
            return
        times = self._try_times
        idle = self.idle_timeout()
        if self._expires <= now:
            self.on_timeout(Cause.ROUTE_TIMEOUT)
        elif self.ends <= now:
            self.on_timeout(Cause.STREAM_DURATION)
        elif times is not None and (cause := times.over(now, self._active)) is not None:
            self.on_try_over(cause)
        elif idle and self._active + idle <= now:
            self.on_timeout(Cause.STREAM_IDLE)
        else:
            self._arm(self._active)
