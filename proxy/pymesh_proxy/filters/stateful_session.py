"""Sessions that stay with an endpoint: its address travels with the client, in a cookie or a header. Envoy's `stateful_session` filter.

The balancer chooses for who brings nothing along, or the address of an endpoint that is gone; the answer then tells the new one.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..http.headers import RequestHead, ResponseHead
from ..route.cookies import NewCookie, cookie_value
from .counts import SessionCounts
from .session_cookie import decoded, encoded

if TYPE_CHECKING:
    from ..http.exchange import Exchange


class SessionState(Protocol):
    """What carries the address."""

    def covers(self, path: bytes) -> bool:
        """Whether requests for a path have a session at all."""

    def read(self, head: RequestHead) -> str:
        """The address that a request brings along; empty when there is none."""

    def write(self, response: ResponseHead, address: str) -> None:
        """Tell the client an address."""


class CookieState:
    """A cookie. One with a time to live also says until when it holds, for clients that keep it longer."""

    __slots__ = ("_clock", "_cookie", "_name", "_path")

    def __init__(self, cookie: NewCookie, clock: Callable[[], float]) -> None:
        """`clock`: seconds since the epoch."""
        self._cookie = cookie
        self._name = cookie.name.encode()
        self._path = cookie.path.encode()
        self._clock = clock

    def covers(self, path: bytes) -> bool:
        wanted = self._path
        if wanted in (b"", b"/"):
            return True
        if not path.startswith(wanted):
            return False
        return wanted.endswith(b"/") or path[len(wanted) : len(wanted) + 1] in (b"", b"/", b"?", b"#")

    def read(self, head: RequestHead) -> str:
        address, expires = decoded(_unwrapped(cookie_value(head, self._name)))
        return "" if expires and expires < int(self._clock()) else address

    def write(self, response: ResponseHead, address: str) -> None:
        ttl = self._cookie.ttl
        expires = int(self._clock()) + ttl if ttl else 0
        response.add(b"set-cookie", self._cookie.line(base64.b64encode(encoded(address, expires)).decode()))


class HeaderState:
    """A header, in requests as in answers."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name.lower().encode()

    def covers(self, path: bytes) -> bool:
        return True

    def read(self, head: RequestHead) -> str:
        lines = head.get_all(self._name)
        return _unwrapped(lines[0]).decode("latin-1") if lines else ""

    def write(self, response: ResponseHead, address: str) -> None:
        response.set(self._name, base64.b64encode(address.encode()))


def _unwrapped(text: bytes) -> bytes:
    """What is in base64; nothing if it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How sessions are kept; `strict`: an endpoint that is gone means an error (503) and no other endpoint."""

    state: SessionState
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSession:
    """What a route says in the filter's place: a session of its own, or none."""

    session: Session | None


class StatefulSessionFilter:
    """Without a session it does nothing."""

    __slots__ = ("_counts", "_session")

    def __init__(self, session: Session | None, counts: SessionCounts | None = None) -> None:
        """`counts` are kept where the configuration names a prefix for them; routes' own never are."""
        self._session = session
        self._counts = counts

    def for_route(self, config: object) -> "StatefulSessionFilter":
        return StatefulSessionFilter(config.session) if isinstance(config, RouteSession) else self

    def on_request(self, exchange: "Exchange") -> None:
        session = self._session
        if session is None or not session.state.covers(exchange.head.path):
            return
        address = session.state.read(exchange.head)
        exchange.note(self, address)
        if address:
            exchange.preferred = address
            exchange.insists = session.strict

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: the upstream sees the request as it came."""

    def on_response(self, exchange: "Exchange") -> None:
        session, counts = self._session, self._counts
        response = exchange.response
        brought = exchange.notes.get(self) if exchange.notes is not None else None
        endpoint = exchange.endpoint
        if session is None or brought is None or response is None:
            if endpoint is not None and counts is not None:
                counts.no_session += 1
        elif endpoint is None:
            if counts is not None and session.strict and "UH" in exchange.flags:
                counts.failed_closed += 1
        elif endpoint.address == brought:
            if counts is not None:
                counts.routed += 1
        else:
            session.state.write(response, endpoint.address)
            if counts is not None and not session.strict:
                counts.failed_open += 1

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing is held."""
