"""Destinations that applications called and that the mesh did not let through, with who called them how often."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LIMIT = 1000
"""Destinations; the one that was called longest ago makes room. Whoever scans a network could otherwise take all memory."""

SOURCES = 50
"""Callers that are told apart of one destination; what others do is counted without their names."""

LONGEST_NAME = 255
"""Characters of a host, the most that DNS knows."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call went: `HTTP` by its Host, `TLS` by its server name, `TCP` by the address alone."""

    protocol: str
    host: str
    port: int
    """0 where a Host names none."""


@dataclass(slots=True)
class _Calls:
    sources: Counter[str] = field(default_factory=Counter)
    last: float = 0.0

    def add(self, source: str, at: float) -> None:
        self.sources[source if source in self.sources or len(self.sources) < SOURCES else ""] += 1
        self.last = max(self.last, at)


class Blocked:
    """The destinations of the last calls. Nothing here waits, and nothing outlives the process."""

    def __init__(self) -> None:
        self._known: OrderedDict[Destination, _Calls] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Blocked {len(self._known)} destinations>"

    def note(self, destination: Destination, source: str, at: float) -> None:
        """A call of `source` (`NAMESPACE/WORKLOAD`), at a time in seconds since 1970."""
        self._known.setdefault(destination, _Calls()).add(source, at)
        self._known.move_to_end(destination)
        if len(self._known) > LIMIT:
            self._known.popitem(last=False)

    def told(self) -> Iterator[tuple[Destination, dict[str, Any]]]:
        """Each destination with its calls, the one that was called last first."""
        for destination, calls in reversed(self._known.items()):
            yield destination, {"calls": calls.sources.total(), "last": calls.last, "sources": dict(calls.sources)}
