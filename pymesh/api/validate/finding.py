"""What a check says: the field, in the models' attribute names, and a sentence."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from ..problem import Severity
from ..tree import Path, Step


class Finding(NamedTuple):
    """One broken rule; `path` begins below `spec`."""

    path: Path
    message: str
    severity: Severity = "error"
    code: str = ""
    """Istio's code of the message, where it has one of its own."""


Findings: TypeAlias = Iterator[Finding]


def below(step: Step | Path, findings: Iterable[Finding]) -> Findings:
    """The findings of a part, seen from the whole."""
    steps = step if isinstance(step, tuple) else (step,)
    return (finding._replace(path=steps + finding.path) for finding in findings)


def verdict(step: Step | Path, message: str | None, severity: Severity = "error") -> Findings:
    """A word's verdict as a finding; none when the word is good."""
    if message is not None:
        yield Finding(step if isinstance(step, tuple) else (step,), message, severity)


def repeated(name: str, values: Sequence[object]) -> Findings:
    """Values of a list that stood in it before."""
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Finding((name, index), f'"{value}" is listed twice')
