"""`sessionPersistence` of rules."""

from collections.abc import Iterator
from typing import Any

from ..sessions import Sessions


def sessions_of(route: Any, rule: Any, index: int) -> Sessions | None:
    """How a rule keeps sessions together. A cookie without a name gets one of the rule's own."""
    wanted = rule.session_persistence
    if wanted is None:
        return None
    if wanted.type.value == "Header":
        return Sessions(header=wanted.header.name)
    name = wanted.cookie.name or f"session-{route.namespace}-{route.name}-{index}"
    return Sessions(cookie=name, path=wanted.cookie.path, ttl=wanted.absolute_timeout or 0.0)


def refused(spec: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What of it no proxy can do, each with its place."""
    for index, rule in enumerate(spec.rules):
        wanted, path = rule.session_persistence, ("rules", index, "sessionPersistence")
        if wanted is None:
            continue
        if sum(bool(one.weight) for one in rule.backend_refs) > 1:
            yield path, "sessions are kept with one backend, and the rule has several with a weight"
        if not wanted.absolute_timeout:
            continue
        if wanted.type.value == "Header":
            yield (*path, "absoluteTimeout"), "a session in a header has no end: only cookies say how long they hold"
        elif wanted.cookie.lifetime_type.value == "Session":
            text = "a cookie that has an end is kept by browsers until then, so that its lifetimeType is Permanent"
            yield (*path, "absoluteTimeout"), text
