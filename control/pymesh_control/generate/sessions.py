"""Sessions of routes and services, as the stateful_session filter's settings."""

from typing import Any

from pymesh.xds import proto

from ..model.sessions import Sessions
from .common import extension

FILTER = "envoy.filters.http.stateful_session"

KEPT_IN = ("HEALTHY", "DRAINING", "UNKNOWN", "DEGRADED")
"""The states of an instance in which it keeps its sessions, where clients are told of those that end."""

_CARRIERS = "envoy.http.stateful_session."


def apply(message: Any, sessions: Sessions | None) -> None:
    """Put sessions on a route, or on one of its weighted clusters."""
    if sessions is None:
        return
    state = proto.stateful_session.StatefulSession(session_state=_state(sessions))
    of_route = proto.stateful_session.StatefulSessionPerRoute(stateful_session=state)
    message.typed_per_filter_config[FILTER].CopyFrom(proto.pack(of_route))


def _state(sessions: Sessions) -> Any:
    if sessions.header:
        return extension(f"{_CARRIERS}header", proto.session_header.HeaderBasedSessionState(name=sessions.header))
    state = proto.session_cookie.CookieBasedSessionState(cookie={"name": sessions.cookie, "path": sessions.path})
    if sessions.ttl:
        state.cookie.ttl.CopyFrom(proto.duration(sessions.ttl))
    return extension(f"{_CARRIERS}cookie", state)
