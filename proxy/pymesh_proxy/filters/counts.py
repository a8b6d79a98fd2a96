"""What filters count: plain ints by stat prefix, kept when a filter is made anew, and shown by `observe.stats`.

All in one room, which is interpreted: a compiled class cannot have a base that is not, and slots.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import ClassVar, TypeVar

Kind = TypeVar("Kind", bound="Counts")


@dataclass(slots=True)
class Counts:
    """Counters of one label, such as a stat prefix; fields that begin with `active_` are gauges."""

    FAMILY: ClassVar[str] = "http"
    """What stands before the label in a name: `http`, `cluster` or nothing."""
    SPACE: ClassVar[str] = ""
    """What stands between the label and the counter's own name."""

    label: str

    def values(self) -> tuple[tuple[str, int], ...]:
        """Names behind the label, and values."""
        prefix = f"{self.SPACE}." if self.SPACE else ""
        return tuple((prefix + one.name, getattr(self, one.name)) for one in fields(self) if one.name != "label")

    def reset(self) -> None:
        """Set every counter to zero; gauges keep their value."""
        for one in fields(self):
            if one.name != "label" and not one.name.startswith("active_"):
                setattr(self, one.name, 0)


@dataclass(slots=True)
class FaultCounts(Counts):
    """`http.<prefix>.fault.*`."""

    SPACE = "fault"

    aborts_injected: int = 0
    delays_injected: int = 0
    faults_overflow: int = 0
    active_faults: int = 0


@dataclass(slots=True)
class AcceptCounts(Counts):
    """`http.<prefix>.compressor.<library>.gzip.*`, of what clients take; the label is all before the last dot."""

    no_accept_header: int = 0
    header_compressor_used: int = 0
    header_wildcard: int = 0
    header_identity: int = 0
    header_not_valid: int = 0
    not_compressed_etag: int = 0


@dataclass(slots=True)
class CompressionCounts(Counts):
    """The same, or with `.response` behind it, of what became of answers."""

    compressed: int = 0
    not_compressed: int = 0
    content_length_too_small: int = 0
    total_uncompressed_bytes: int = 0
    total_compressed_bytes: int = 0


@dataclass(slots=True)
class UncompressedCounts(Counts):
    """The same with `.request` behind it."""

    not_compressed: int = 0


@dataclass(slots=True)
class CorsCounts(Counts):
    """`http.<prefix>.cors.*`."""

    SPACE = "cors"

    origin_valid: int = 0
    origin_invalid: int = 0


@dataclass(slots=True)
class LocalRateLimitCounts(Counts):
    """`<prefix>.http_local_rate_limit.*`."""

    FAMILY = ""
    SPACE = "http_local_rate_limit"

    enabled: int = 0
    enforced: int = 0
    ok: int = 0
    rate_limited: int = 0


@dataclass(slots=True)
class RateLimitCounts(Counts):
    """`cluster.<name>.ratelimit.*`, of the cluster to which the requests go."""

    FAMILY = "cluster"
    SPACE = "ratelimit"

    ok: int = 0
    over_limit: int = 0
    error: int = 0
    failure_mode_allowed: int = 0


@dataclass(slots=True)
class SessionCounts(Counts):
    """`http.<prefix>.stateful_session.<prefix of its own>.*`."""

    SPACE = "stateful_session"

    failed_closed: int = 0
    failed_open: int = 0
    no_session: int = 0
    routed: int = 0

    def values(self) -> tuple[tuple[str, int], ...]:
        """Behind the label, which holds the filter's name already, stand the bare names."""
        return tuple((name, getattr(self, name)) for name in ("failed_closed", "failed_open", "no_session", "routed"))


@dataclass(slots=True)
class GrpcCounts(Counts):
    """`cluster.<name>.grpc.*`: how calls have ended and how many messages there were, perhaps by method."""

    FAMILY = "cluster"
    SPACE = "grpc"

    numbers: dict[str, int] = field(default_factory=dict)
    """By `[<service>.<method>.]<counter>`."""

    def add(self, name: str, more: int) -> None:
        """Count."""
        self.numbers[name] = self.numbers.get(name, 0) + more

    def values(self) -> tuple[tuple[str, int], ...]:
        return tuple((f"{self.SPACE}.{name}", number) for name, number in self.numbers.items())

    def reset(self) -> None:
        self.numbers.clear()


class Tallies:
    """Every filter's counts in one process."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[type[Counts], str], Counts] = {}

    def __iter__(self) -> Iterator[Counts]:
        return iter(list(self._kept.values()))

    def of(self, kind: type[Kind], label: str) -> Kind:
        """The counts of a kind and a label, made if need be."""
        found = self._kept.get((kind, label))
        if not isinstance(found, kind):
            found = self._kept[kind, label] = kind(label)
        return found
