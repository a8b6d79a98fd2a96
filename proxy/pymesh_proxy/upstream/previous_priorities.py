"""Retries that leave out the priorities that have failed them: RetryPolicy's retry_priority, previous_priorities."""

from .priorities import Priorities

_NONE: frozenset[int] = frozenset()


class PreviousPriorities:
    """What the attempts of one exchange have gone to. It is looked at anew with every `frequency` attempts, as in Envoy."""

    __slots__ = ("_attempted", "_excluded", "_frequency")

    def __init__(self, frequency: int) -> None:
        self._frequency = frequency
        self._attempted: list[int] = []
        self._excluded = _NONE

    def attempted(self, priority: int) -> None:
        """One more attempt has gone to an endpoint of this priority."""
        self._attempted.append(priority)

    def excluded(self, priorities: Priorities) -> frozenset[int]:
        """The priorities that the next attempt leaves out. When nothing usable is left, all begins anew."""
        count = len(self._attempted)
        if count < self._frequency:
            return _NONE
        if count % self._frequency == 0:
            self._excluded |= frozenset(self._attempted)
            if not priorities.usable_without(self._excluded):
                self._excluded = _NONE
                self._attempted.clear()
        return self._excluded
