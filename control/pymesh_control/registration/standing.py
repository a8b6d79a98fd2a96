"""How a registered workload stands, whether or not it is offered to others."""

from dataclasses import dataclass
from datetime import datetime

from ..model.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeling:
    """What its proxy said last of a workload's health; without a reason it is well."""

    reason: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A workload with when its proxy came or went, and how it feels."""

    workload: Workload
    probed: bool = False
    """Whether its proxy probes the application."""
    connected: bool = False
    since: datetime | None = None
    """Since when it is connected or is not; None where that was in an earlier process."""
    feeling: Feeling | None = None
