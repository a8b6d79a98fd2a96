"""When a step of the story counts as held: plain questions about what was measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

from .load import Record
from .metrics import Traffic

# A fair split is allowed to stray this many standard deviations: by chance one run in 150,000 strays further.
_SIGMAS = 4.5

# Longest pause between two good answers that still counts as "traffic never stops", in seconds. A pause of the two-core
# machine itself while a process starts beside the load was measured at up to 0.3.
SILENCE = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the load: what the clients saw, and what the mesh counted meanwhile, by version."""

    record: Record
    mesh: Mapping[str, Traffic]


def split_faults(measured: Measured, shares: Mapping[str, float]) -> Iterator[str]:
    """What is wrong with a run that should have been split so between versions (parts of 1, none of them 0)."""
    yield from failure_faults(measured.record)
    answers = measured.record.versions
    total = sum(answers.values())
    for version in sorted(set(answers) - set(shares)):
        yield f"{version} answered {answers[version]} requests although no route leads to it"
    for version, share in shares.items():
        allowed = _SIGMAS * sqrt(total * share * (1 - share))
        if abs(answers[version] - total * share) > allowed:
            yield f"{version} answered {answers[version]} of {total} requests, {share:.0%} were due"
    counted = {version: traffic.requests for version, traffic in measured.mesh.items()}
    if counted != dict(answers):
        yield f"the mesh's metrics count {counted}, the clients {dict(answers)}"


def failure_faults(record: Record) -> Iterator[str]:
    """Requests that failed, each kind once."""
    for failure, count in record.failures.items():
        yield f"{count} of {len(record.outcomes)} requests failed: {failure}"
    if not record.outcomes:
        yield "not one request was sent"


def steady_faults(record: Record) -> Iterator[str]:
    """What is wrong with a run during which traffic should never have stopped."""
    yield from failure_faults(record)
    if (silence := record.longest_silence()) > SILENCE:
        yield f"for {silence:.1f} s no request was answered"
