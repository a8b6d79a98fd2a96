"""The times of a client's HTTP/1.1 connection: how long a head, a request, silence and the connection itself may last."""

from typing import TYPE_CHECKING

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from ..wheel import NEVER
from .exchange import Downstream
from .h1_answers import Answering, Reading
from .options import HttpOptions

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime


class Timing(Answering):
    """What `ServerConnection` is to the wheel. The exchange under way arms its own deadlines through it."""

    __slots__ = ("_ends", "_head_by", "_unsent", "deadline", "wake")

    def __init__(self, runtime: "Runtime", options: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(runtime, options, scope, facts)
        self.deadline = self.wake = NEVER
        self._head_by = NEVER
        """Loop time at which a head that has begun must be whole."""
        self._ends = NEVER
        """Loop time at which the connection has lasted long enough (max_connection_duration)."""
        self._unsent = 0
        """What of the last answer the client had not taken when there was last a look at it."""

    def _refuse(self, refusal: LocalReply) -> None:
        """What was read is no request, or not in time: answer when its turn comes, then close."""
        raise NotImplementedError

    def _begin_life(self) -> None:
        if self.options.max_connection_duration:
            self._ends = self._started + self.options.max_connection_duration
        self._await_request()

    def arm(self, deadline: float) -> None:
        if self._read_by < deadline:
            deadline = self._read_by
        self.deadline = deadline
        if deadline < self.wake:  # else the wheel looks in time by itself (see Wheel.arm)
            self._runtime.wheel.arm(self, deadline)

    def on_deadline(self, now: float) -> None:
        """One of: the lingering close, a slow request, the exchange's own timeouts, a slow head, an idle or old connection."""
        if self._reading is Reading.LINGER:
            self._check_client()
        elif self._read_by <= now:
            self._too_slow(rescue.reply(Cause.REQUEST_TIMEOUT, body=b"request timeout", details="request_overall_timeout"))
            if self._router is not None:
                self._router.on_deadline(now)  # an earlier request goes on, and so do its clocks
        elif self._router is not None:
            self._router.on_deadline(now)
        elif self._head_by <= now:
            slow = self.options.request_headers_timeout == self._head_timeout()
            self._too_slow(rescue.reply(Cause.REQUEST_TIMEOUT) if slow else rescue.reply(Cause.STREAM_IDLE, status=408))
        elif self._leaving or not self._served:
            self._close()
        else:
            self._leave_soon(now)

    def _close(self) -> None:
        """End the connection when the client has taken what was written."""
        self._reading = Reading.LINGER
        self.transport.close()
        if self.options.delayed_close_timeout and self.transport.get_write_buffer_size():
            self._wait_for_client()

    def _wait_for_client(self) -> None:
        """Give it a while, and another as long as it takes something (delayed_close_timeout, as in Envoy)."""
        self._unsent = self.transport.get_write_buffer_size()
        self.arm(self._runtime.loop.time() + self.options.delayed_close_timeout)

    def _check_client(self) -> None:
        """One that takes nothing has no claim on the connection, nor on the memory that the rest occupies."""
        if 0 < self.transport.get_write_buffer_size() < self._unsent:
            self._wait_for_client()
        else:
            self.transport.abort()

    def _leave_soon(self, now: float) -> None:
        """Idle or alive for long enough: a request that is on its way is still served, with the connection's last answer."""
        self._leaving = True
        if now < self._ends or not self.options.safe_connection_duration:
            self.arm(now + self.options.drain_timeout)
        else:
            self._ends = NEVER  # nothing but idleness ends it from here on
            self._await_request()

    def _too_slow(self, refusal: LocalReply) -> None:
        self.options.stats.downstream_rq_timeout += 1
        self._refuse(refusal)

    def _await_request(self) -> None:
        idle = self.options.idle_timeout
        deadline = self._runtime.loop.time() + idle if idle else NEVER
        self.arm(min(deadline, self._ends))

    def _await_head(self) -> None:
        """A head has begun; more of its bytes do not prolong its time."""
        if self._head_by == NEVER and self._read_by == NEVER:
            now = self._runtime.loop.time()
            if limit := self._head_timeout():
                self._head_by = now + limit
            if self.options.request_timeout:
                self._read_by = now + self.options.request_timeout
        self.arm(self._head_by)

    def _head_timeout(self) -> float:
        """Seconds for a head. A stream without a head is idle, as in Envoy, whether or not heads have a limit of their own."""
        whole, idle = self.options.request_headers_timeout, self.options.stream_idle_timeout
        return min(whole, idle) if whole and idle else whole or idle
