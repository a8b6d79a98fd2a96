"""Session persistence: that it has what its type says, and an end if its cookie is to outlast the client's session."""

from ...models.gatewayapi.session import CookieConfig, CookieLifetimeType, SessionPersistence, SessionPersistenceType
from .. import words
from ..finding import Finding, Findings, below, verdict

_MOST_PATH = 1024


def check(session: SessionPersistence) -> Findings:
    """Everything wrong with one rule's."""
    for kind, name in ((SessionPersistenceType.COOKIE, "cookie"), (SessionPersistenceType.HEADER, "header")):
        present = getattr(session, name) is not None
        if kind is session.type and not present:
            yield Finding((), f'a session of type {kind.value} needs "{name}"')
        elif kind is not session.type and present:
            yield Finding((name,), f"has no meaning in a session of type {session.type.value}")
    if session.header is not None:
        yield from verdict(("header", "name"), words.header_name(session.header.name))
    if session.cookie is not None:
        yield from below("cookie", _cookie(session.cookie))
        if session.cookie.lifetime_type is CookieLifetimeType.PERMANENT and session.absolute_timeout is None:
            yield Finding((), 'a cookie of the lifetimeType Permanent needs "absoluteTimeout"')


def _cookie(cookie: CookieConfig) -> Findings:
    if cookie.name is not None:
        yield from verdict("name", words.header_name(cookie.name) and f'"{cookie.name}" is not the name of a cookie')
    if len(cookie.path) > _MOST_PATH:
        yield Finding(("path",), f"at most {_MOST_PATH} characters, found {len(cookie.path)}")
