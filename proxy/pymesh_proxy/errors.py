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


class RateLimitServiceError(ProxyError):
    """A rate limit service did not answer; the message is for the log."""


class Cause(enum.Enum):
    """Why an exchange or a connection could not be finished: whose fault, and whether another attempt is safe.

    `rescue` maps each to an answer, a response flag and a sentence.
    """

    BAD_REQUEST = ("bad_request", Fault.DOWNSTREAM, Retry.NO)
    NO_ROUTE = ("no_route", Fault.DOWNSTREAM, Retry.NO)
    NO_CLUSTER = ("no_cluster", Fault.OURS, Retry.NO)
    NO_HEALTHY_UPSTREAM = ("no_healthy_upstream", Fault.UPSTREAM, Retry.NO)
    OVERFLOW = ("overflow", Fault.UPSTREAM, Retry.NO)
    CONNECT_FAILED = ("connect_failed", Fault.UPSTREAM, Retry.YES)
    CONNECT_TIMEOUT = ("connect_timeout", Fault.UPSTREAM, Retry.YES)
    UPSTREAM_CLOSED = ("upstream_closed", Fault.UPSTREAM, Retry.UNSENT)
    UPSTREAM_RESET = ("upstream_reset", Fault.UPSTREAM, Retry.NO)
    UPSTREAM_REFUSED = ("upstream_refused", Fault.UPSTREAM, Retry.YES)
    UPSTREAM_PROTOCOL = ("upstream_protocol", Fault.UPSTREAM, Retry.NO)
    ROUTE_TIMEOUT = ("route_timeout", Fault.UPSTREAM, Retry.NO)
    PER_TRY_TIMEOUT = ("per_try_timeout", Fault.UPSTREAM, Retry.NO)
    PER_TRY_IDLE = ("per_try_idle_timeout", Fault.UPSTREAM, Retry.NO)
    UPSTREAM_DURATION = ("upstream_duration", Fault.UPSTREAM, Retry.NO)
    REPLAY_TOO_LARGE = ("replay_too_large", Fault.DOWNSTREAM, Retry.NO)
    STREAM_IDLE = ("stream_idle", Fault.UPSTREAM, Retry.NO)
    STREAM_DURATION = ("stream_duration", Fault.UPSTREAM, Retry.NO)
    REQUEST_TIMEOUT = ("request_timeout", Fault.DOWNSTREAM, Retry.NO)
    UPGRADE_REFUSED = ("upgrade_refused", Fault.DOWNSTREAM, Retry.NO)
    CLIENT_LEFT = ("client_left", Fault.DOWNSTREAM, Retry.NO)

    def __init__(self, label: str, fault: Fault, retry: Retry) -> None:
        self.label = label
        self.fault = fault
        self.retry = retry
