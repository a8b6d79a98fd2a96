"""Where something stands in a file, and what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to change; `str` is the line compilers print, which editors turn into a link."""

    file: str
    line: int
    column: int
    severity: Severity
    message: str
    code: str = ""
    """Istio's code of the message, where it has one of its own."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"

    @classmethod
    def at(cls, where: Position, message: str, severity: Severity = "error") -> "Problem":
        """A problem at a position already known."""
        return cls(where.file, where.line, where.column, severity, message)


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of them forbids using what was read; all else does not."""
    return any(problem.severity == "error" for problem in problems)
