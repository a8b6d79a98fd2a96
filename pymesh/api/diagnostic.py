"""What analysis finds: a Problem that has a code to look up, a reason to care and a way out."""

from dataclasses import dataclass
from typing import Literal

from .problem import Position, Problem
from .resource import Resource

Level = Literal["error", "warning", "info"]

SUPPRESS = "galley.istio.io/analyze-suppress"
"""Istio's annotation: codes, with commas between, or `*`."""


def suppresses(resource: Resource, code: str) -> bool:
    """Whether a resource's own annotation does not want to hear of a code."""
    unwanted = {one.strip() for one in resource.annotations.get(SUPPRESS, "").split(",")}
    return code in unwanted or "*" in unwanted


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding of analysis; `code` is Istio's message code (ISTnnnn), else Kiali's (KIAnnnn), else our own (PYMnnnn)."""

    file: str
    line: int
    column: int
    code: str
    severity: Level
    resource: str
    """`<kind> <namespace>/<name>`; empty for what is no resource yet."""
    message: str
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        subject = f"{self.resource}: " if self.resource else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity} [{self.code}]: {subject}{self.message}"

    def on_load(self) -> Problem:
        """The same for those who loaded the resource: it is honoured, so that nothing of it is an error any more."""
        severity: Level = "info" if self.severity == "info" else "warning"
        return Problem.at(Position(self.file, self.line, self.column), f"{self.resource}: {self.message} [{self.code}]", severity)
