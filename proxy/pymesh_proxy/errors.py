"""What can go wrong in the data plane: configuration that cannot be honoured, and exchanges that cannot be finished.

A cause says whose fault it is and whether sending the request again is safe; `rescue` alone turns causes into answers.
"""

import enum
from dataclasses import dataclass


class Fault(enum.Enum):
    """Who has to change something for the error to go away."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    OURS = "ours"


class Retry(enum.Enum):
    """Whether the request may be sent again without asking the route's retry policy."""

    NO = "no"
    YES = "yes"
    UNSENT = "only if nothing was sent, or the connection was reused and died before any answer byte"


@dataclass(frozen=True, slots=True)
class Problem:
    """One field that cannot be honoured: a path such as `filter_chains[0].filters[1].codec_type`, and a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ProxyError(Exception):
    """Base of everything the data plane raises on purpose."""


class ConfigError(ProxyError):
    """A resource or bootstrap cannot be honoured; carries every problem found in it, not only the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class StartupError(ProxyError):
    """The process cannot start as asked (a taken port, an unreadable file); the message is for the person at the terminal."""
