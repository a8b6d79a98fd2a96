"""Cross-origin resource sharing."""

from collections.abc import Sequence

from ..models.virtualservice import CorsPolicy
from . import words
from .finding import Finding, Findings, below, verdict
from .httpmatch import text

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")


def check(policy: CorsPolicy) -> Findings:
    """Everything wrong with a `corsPolicy`."""
    for index, method in enumerate(policy.allow_methods):
        if method not in _METHODS:
            yield Finding(("allow_methods", index), f'"{method}" is not a method ({", ".join(_METHODS)})')
    yield from _names("allow_headers", policy.allow_headers)
    yield from _names("expose_headers", policy.expose_headers)
    for index, origin in enumerate(policy.allow_origins):
        if not (origin.exact or origin.prefix or origin.regex):
            yield Finding(("allow_origins", index), "an origin must not be empty")
        else:
            yield from below(("allow_origins", index), text(origin))
    if policy.allow_origin:
        yield Finding(("allow_origin",), "deprecated; use allowOrigins", "warning", "IST0002")
    for index, old_origin in enumerate(policy.allow_origin):
        if not old_origin:
            yield Finding(("allow_origin", index), "an origin must not be empty")
    if policy.max_age is not None and policy.max_age % 1:
        yield Finding(("max_age",), "must be whole seconds")


def _names(field: str, names: Sequence[str]) -> Findings:
    for index, name in enumerate(names):
        yield from verdict((field, index), words.header_name(name))
