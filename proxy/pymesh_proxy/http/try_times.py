"""How long one attempt may take: its timeout, its silence, and the cluster's limit of a whole stream. Decisions without I/O.

The attempt's timeout and its silence count from the moment when the request has gone up to its end (envoy-behaviour 2.6), the
cluster's limit from the moment when the attempt has a connection.
"""

from ..errors import Cause
from ..wheel import NEVER


class TryTimes:
    """The clocks of one attempt, in loop time; durations are seconds, 0 means off."""

    __slots__ = ("_ends", "_expires", "_idle", "_since", "_timeout")

    def __init__(self, *, timeout: float, idle: float, longest: float, now: float) -> None:
        self._timeout = timeout
        self._idle = idle
        self._ends = now + longest if longest else NEVER
        self._expires = NEVER
        self._since = NEVER
        """When the request was complete: the upstream's silence is not counted from earlier."""

    def complete(self, now: float) -> None:
        """The request has gone up to its end."""
        self._since = now
        if self._timeout:
            self._expires = now + self._timeout

    def answered(self) -> None:
        """An answer has begun to go down: from here on only its silence and the stream's length count."""
        self._expires = NEVER

    def deadline(self, active: float) -> float:
        """When to look again; `active` is the last sign of life."""
        return min(self._expires, self._ends, self._silent_at(active))

    def over(self, now: float, active: float) -> Cause | None:
        """What the attempt has run out of."""
        if self._expires <= now:
            return Cause.PER_TRY_TIMEOUT
        if self._ends <= now:
            return Cause.UPSTREAM_DURATION
        if self._silent_at(active) <= now:
            return Cause.PER_TRY_IDLE
        return None

    def _silent_at(self, active: float) -> float:
        return max(self._since, active) + self._idle if self._idle else NEVER
