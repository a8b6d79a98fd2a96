"""Filters: that each has what its type says and nothing else, and which may stand together."""

import re
from collections.abc import Mapping, Sequence

from ...models.gatewayapi.filters import (
    GRPCRouteFilter,
    HTTPCORSFilter,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPURLRewriteFilter,
    PathModifierType,
)
from ...tree import json_name
from .. import words
from ..finding import Finding, Findings, below, repeated, verdict
from .references import LONGEST_VALUE, backend, hostname, limit, named_once, too_long

_REDIRECTS = (301, 302, 303, 307, 308)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*")
_ORIGIN = re.compile(r"https?://((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?")
_LONGEST_PATH = 1024
_MOST = 16
_MOST_HEADERS = 16
_MOST_ORIGINS = 64
_REPEATABLE = ("RequestMirror", "ExtensionRef", "ExternalAuth")

_FIELDS: Mapping[str, str] = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "RequestMirror": "request_mirror",
    "RequestRedirect": "request_redirect",
    "URLRewrite": "url_rewrite",
    "CORS": "cors",
    "ExternalAuth": "external_auth",
    "ExtensionRef": "extension_ref",
}
"""The field that a filter of each type needs."""


def check(filters: Sequence[HTTPRouteFilter | GRPCRouteFilter], *, replaces_prefix: bool) -> Findings:
    """The filters of a rule or backend; `replaces_prefix` says that the rule has the one prefix that a path modifier may replace."""
    yield from limit("filters", filters, _MOST)
    types = [one.type.value for one in filters]
    for index, one in enumerate(filters):
        yield from below(("filters", index), _filter(one, replaces_prefix=replaces_prefix))
        if types[index] in types[:index] and types[index] not in _REPEATABLE:
            yield Finding(("filters", index), f"there is a filter {types[index]} already")
    if "RequestRedirect" in types and "URLRewrite" in types:
        yield Finding(("filters", types.index("URLRewrite")), "a request that is redirected is not rewritten")


def _filter(one: HTTPRouteFilter | GRPCRouteFilter, *, replaces_prefix: bool) -> Findings:
    wanted = _FIELDS[one.type.value]
    for name in _FIELDS.values():
        present = getattr(one, name, None) is not None
        if name == wanted and not present:
            yield Finding(("type",), f'a filter {one.type.value} needs "{json_name(name)}"')
        elif name != wanted and present:
            yield Finding((name,), f"has no meaning in a filter of type {one.type.value}")
    for name in ("request_header_modifier", "response_header_modifier"):
        yield from below(name, _headers(edits)) if (edits := getattr(one, name)) else ()
    yield from below("request_mirror", _mirror(one.request_mirror)) if one.request_mirror else ()
    if isinstance(one, HTTPRouteFilter):
        redirect, rewrite = one.request_redirect, one.url_rewrite
        yield from below("request_redirect", _redirect(redirect, replaces_prefix=replaces_prefix)) if redirect else ()
        yield from below("url_rewrite", _rewrite(rewrite, replaces_prefix=replaces_prefix)) if rewrite else ()
        yield from below("cors", _cors(one.cors)) if one.cors else ()


def _headers(edits: HTTPHeaderFilter) -> Findings:
    for operation, values in (("set", edits.set), ("add", edits.add)):
        yield from limit(operation, values, _MOST_HEADERS)
        yield from below(operation, named_once([header.name for header in values]))
        for index, header in enumerate(values):
            yield from verdict((operation, index, "value"), too_long(header.value, LONGEST_VALUE))
            yield from verdict((operation, index, "name"), words.header_name(header.name))
            yield from verdict((operation, index, "value"), words.header_value(header.value) if header.value else "must not be empty")
    yield from limit("remove", edits.remove, _MOST_HEADERS)
    yield from repeated("remove", edits.remove)
    for index, name in enumerate(edits.remove):
        yield from verdict(("remove", index), words.header_name(name))
        if name.lower() == "host":
            yield Finding(("remove", index), "every request needs its host")


def _mirror(mirror: HTTPRequestMirrorFilter) -> Findings:
    yield from below("backend_ref", backend(mirror.backend_ref))
    share = mirror.fraction
    if share is not None and share.numerator > share.denominator:
        yield Finding(("fraction", "numerator"), f"{share.numerator} of {share.denominator} is more than all")


def _redirect(redirect: HTTPRequestRedirectFilter, *, replaces_prefix: bool) -> Findings:
    if redirect.status_code not in _REDIRECTS:
        yield Finding(("status_code",), f"must be one of {', '.join(map(str, _REDIRECTS))}, found {redirect.status_code}")
    yield from _target(redirect.hostname, redirect.path, replaces_prefix=replaces_prefix)


def _rewrite(rewrite: HTTPURLRewriteFilter, *, replaces_prefix: bool) -> Findings:
    yield from _target(rewrite.hostname, rewrite.path, replaces_prefix=replaces_prefix)


def _target(host: str | None, path: HTTPPathModifier | None, *, replaces_prefix: bool) -> Findings:
    if host is not None:
        yield from verdict("hostname", hostname(host, wildcard=False))
    if path is None:
        return
    values = {
        PathModifierType.REPLACE_FULL_PATH: ("replace_full_path", path.replace_full_path),
        PathModifierType.REPLACE_PREFIX_MATCH: ("replace_prefix_match", path.replace_prefix_match),
    }
    for kind, (name, value) in values.items():
        if kind is path.type and value is None:
            yield Finding(("path",), f'a path of type {kind.value} needs "{json_name(name)}"')
        elif kind is not path.type and value is not None:
            yield Finding(("path", name), f"has no meaning in a path of type {path.type.value}")
        elif value and any(character in value for character in "?#\r\n"):
            yield Finding(("path", name), f'"{value}" is not a path')
        elif value:
            yield from verdict(("path", name), too_long(value, _LONGEST_PATH))
    if path.type is PathModifierType.REPLACE_PREFIX_MATCH and not replaces_prefix:
        yield Finding(("path",), "replaces a prefix, and so the rule must have exactly one match, of type PathPrefix")


def _cors(policy: HTTPCORSFilter) -> Findings:
    yield from limit("allow_origins", policy.allow_origins, _MOST_ORIGINS)
    for index, origin in enumerate(policy.allow_origins):
        yield from verdict(("allow_origins", index), _origin(origin))
    for index, method in enumerate(policy.allow_methods):
        if method not in _METHODS:
            yield Finding(("allow_methods", index), f'"{method}" is not a method ({", ".join(_METHODS)})')
    for field, names in (("allow_headers", policy.allow_headers), ("expose_headers", policy.expose_headers)):
        yield from limit(field, names, _MOST_ORIGINS)
        for index, name in enumerate(names):
            yield from verdict((field, index), words.header_name(name))
    yield from limit("allow_methods", policy.allow_methods, len(_METHODS) - 1)
    for field in ("allow_origins", "allow_methods", "allow_headers", "expose_headers"):
        yield from repeated(field, getattr(policy, field))
    for field in ("allow_origins", "allow_methods", "allow_headers"):
        values = getattr(policy, field)
        if "*" in values and len(values) > 1:
            yield Finding((field,), '"*" must be the only entry')


def _origin(text: str) -> str | None:
    if text == "*" or _ORIGIN.fullmatch(text):
        return None
    return f'"{text}" is not an origin: write scheme://host[:port], or "*"'
