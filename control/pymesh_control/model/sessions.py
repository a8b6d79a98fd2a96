"""Sessions: requests that bring a cookie or header along go where the first one went."""

from collections.abc import Mapping
from dataclasses import dataclass

from pymesh.api.models.virtualservice import HTTPRoute

_LABEL, _HEADER_LABEL = "istio.io/persistent-session", "istio.io/persistent-session-header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """What carries them: a cookie, or a header."""

    cookie: str = ""
    path: str = "/"
    """Of the cookie; requests for other paths have no session."""
    ttl: float = 0.0
    """Seconds that the cookie lives; 0 for as long as the client's session lasts."""
    header: str = ""


class SessionRoute(HTTPRoute):
    """A route of the Gateway API: what a VirtualService can say, and sessions."""

    sessions: Sessions | None = None


def of_labels(labels: Mapping[str, str]) -> Sessions | None:
    """What a Service's labels ask for: a header's name, or `NAME:PATH` of a cookie, as Istio has it."""
    if labels.get(_HEADER_LABEL):
        return Sessions(header=labels[_HEADER_LABEL])
    name, _, path = labels.get(_LABEL, "").partition(":")
    return Sessions(cookie=name, path=path or "/") if name else None
