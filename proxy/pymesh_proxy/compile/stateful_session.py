"""Stateful sessions: the filter, and what a route says of it."""

import time
from typing import TYPE_CHECKING

from ..filters.counts import SessionCounts
from ..filters.stateful_session import CookieState, HeaderState, RouteSession, Session, SessionState, StatefulSessionFilter
from .fields import Reader
from .hash_policies import new_cookie

if TYPE_CHECKING:
    from .http_filters import Manager


def stateful_session_filter(reader: Reader, manager: "Manager") -> StatefulSessionFilter:
    """The filter of a manager."""
    reader.only("session_state", "strict", "stat_prefix")
    prefix = reader.message.stat_prefix
    label = f"{manager.stat_prefix}.stateful_session.{prefix}"
    counts = manager.ctx.services.counts.of(SessionCounts, label) if prefix else None
    return StatefulSessionFilter(_session(reader), counts)


def route_session(reader: Reader) -> RouteSession:
    """A StatefulSessionPerRoute."""
    reader.only("disabled", "stateful_session")
    own = reader.child("stateful_session")
    if own is None:
        return RouteSession(session=None)
    own.only("session_state", "strict", harmless={"stat_prefix": "the sessions of a route are not counted, by Envoy neither"})
    return RouteSession(session=_session(own))


def _session(reader: Reader) -> Session | None:
    extension = reader.child("session_state")
    if extension is None:
        return None
    extension.only("name", "typed_config")
    state = extension.extend(_STATES)
    return None if state is None else Session(state=state, strict=reader.message.strict)


def _cookie(config: Reader) -> SessionState:
    config.only("cookie")
    cookie = config.child("cookie")
    if cookie is None:
        config.refuse("cookie", "a cookie is needed")
        return HeaderState("")
    return CookieState(new_cookie(cookie), time.time)


def _header(config: Reader) -> SessionState:
    config.only("name")
    return HeaderState(config.message.name)


_STATES = {
    "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState": _cookie,
    "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState": _header,
}
"""What carries an address, by the message's full name."""
