"""Conditions on an exchange or a connection that has its answer: which lines an access log writes, which answers are mapped.

A TCP connection has no status and no headers: to these conditions it has status 0 and an empty head, as in Envoy.
"""

import operator
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from ..http.exchange import Exchange
from ..http.headers import RequestHead
from ..rescue import grpc_code
from ..route.table import Match
from ..tcp.session import Session
from .operators import grpc_status

Test = Callable[[Any], bool]
"""Of an `Exchange` or a `Session`."""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"EQ": operator.eq, "GE": operator.ge, "LE": operator.le, "NE": operator.ne}

_HEADLESS = RequestHead(b"", b"", b"", [])


class Watcher(Protocol):
    """What is told of every exchange and connection that has ended."""

    def http(self, exchange: Exchange) -> Any: ...

    def tcp(self, session: Session) -> Any: ...


class Filtered:
    """An access log that is told only of what passes a condition."""

    __slots__ = ("_log", "_test")

    def __init__(self, log: Watcher, test: Test) -> None:
        self._log = log
        self._test = test

    def http(self, exchange: Exchange) -> None:
        if self._test(exchange):
            self._log.http(exchange)

    def tcp(self, session: Session) -> None:
        if self._test(session):
            self._log.tcp(session)


def status(compare: Callable[[int, int], bool], value: int) -> Test:
    """The answer's status; 0 if there was none."""
    return lambda subject: compare(getattr(subject, "status", 0), value)


def duration(compare: Callable[[int, int], bool], value: int) -> Test:
    """Milliseconds since the beginning."""
    return lambda subject: compare(int((time.monotonic() - subject.started) * 1000), value)


def flags(wanted: Collection[str]) -> Test:
    """One of some response flags is set; with none named, any."""
    if not wanted:
        return lambda subject: bool(subject.flags)
    named = frozenset(wanted)
    return lambda subject: not named.isdisjoint(subject.flags.split(","))


def header(matches: Match) -> Test:
    """The request's head passes a header matcher."""
    return lambda subject: matches(getattr(subject, "head", _HEADLESS), 0)


def grpc(statuses: Collection[int], exclude: bool) -> Test:
    """The answer's gRPC status is one of some, or (exclude) none of them; HTTP's stands for it where none is told."""
    return lambda subject: (_grpc_status(subject) in statuses) is not exclude


def _grpc_status(subject: Any) -> int:
    if not hasattr(subject, "response"):
        return grpc_code(0)
    told = grpc_status(subject)
    return grpc_code(subject.status) if told is None else told


def share(numerator: int, denominator: int) -> Test:
    """A share of them, by chance."""
    return lambda subject: random.randrange(denominator) < numerator


def every(tests: Sequence[Test]) -> Test:
    """All of the conditions."""
    return lambda subject: all(test(subject) for test in tests)


def some(tests: Sequence[Test]) -> Test:
    """One of the conditions."""
    return lambda subject: any(test(subject) for test in tests)


def constantly(answer: bool) -> Test:
    """A condition that does not depend on its subject."""
    return lambda subject: answer
