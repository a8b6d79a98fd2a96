"""Filters of rules and backends, as the actions of VirtualServices."""

import re
from collections.abc import Iterable
from typing import Any

from pymesh.api.models.virtualservice import (
    CorsPolicy,
    HeaderOperations,
    Headers,
    HTTPRedirect,
    HTTPRewrite,
    RedirectPort,
    RegexRewrite,
    UnmatchedPreflights,
)
from pymesh.api.types import StringMatch

_ANY_ORIGIN = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+"
"""What is an origin at all (RFC 6454, 6.2), and not the word `null`."""


def headers_of(filters: Iterable[Any]) -> Headers | None:
    """The edits of request and answer that filters ask for."""
    request = next((_operations(one.request_header_modifier) for one in filters if one.request_header_modifier), None)
    response = next((_operations(one.response_header_modifier) for one in filters if one.response_header_modifier), None)
    return Headers(request=request, response=response) if request or response else None


def _operations(edits: Any) -> HeaderOperations:
    return HeaderOperations(set=_first(edits.set), add=_first(edits.add), remove=edits.remove)


def _first(headers: Iterable[Any]) -> dict[str, str]:
    """Of several headers of one name the first, as the API wants it."""
    found: dict[str, str] = {}
    for header in headers:
        found.setdefault(header.name.lower(), header.value)
    return found


def redirect_of(filters: Iterable[Any]) -> HTTPRedirect | None:
    """Where requests are redirected to. Without a port it is the scheme's, or without a scheme that of the listener."""
    wanted = next((one.request_redirect for one in filters if one.request_redirect), None)
    if wanted is None:
        return None
    derived = RedirectPort.FROM_PROTOCOL_DEFAULT if wanted.scheme else RedirectPort.FROM_REQUEST_PORT
    return HTTPRedirect(
        uri=wanted.path.replace_full_path if wanted.path else None,
        prefix_rewrite=_prefix(wanted.path),
        authority=wanted.hostname,
        port=wanted.port,
        derive_port=None if wanted.port else derived,
        scheme=wanted.scheme.value if wanted.scheme else None,
        redirect_code=wanted.status_code,
    )


def rewrite_of(filters: Iterable[Any]) -> HTTPRewrite | None:
    """What changes in a request's target."""
    wanted = next((one.url_rewrite for one in filters if one.url_rewrite), None)
    if wanted is None:
        return None
    whole = wanted.path.replace_full_path if wanted.path else None
    return HTTPRewrite(
        uri=_prefix(wanted.path),
        authority=wanted.hostname,
        uri_regex_rewrite=None if whole is None else RegexRewrite(match="/.*", rewrite=whole.replace("\\", r"\\") or "/"),
    )


def _prefix(path: Any) -> str | None:
    """What stands for the prefix that matched; nothing and `/` both take it away."""
    if path is None or path.replace_prefix_match is None:
        return None
    return path.replace_prefix_match.rstrip("/") or "/"


def cors_of(filters: Iterable[Any]) -> CorsPolicy | None:
    """Cross-origin resource sharing; a preflight that it does not allow is answered here, and not by the backend."""
    wanted = next((one.cors for one in filters if one.cors), None)
    if wanted is None:
        return None
    return CorsPolicy.model_construct(
        allow_origins=[_origin(origin) for origin in wanted.allow_origins],
        allow_methods=wanted.allow_methods,
        allow_headers=wanted.allow_headers,
        expose_headers=wanted.expose_headers,
        max_age=float(wanted.max_age),
        allow_credentials=wanted.allow_credentials or None,
        unmatched_preflights=UnmatchedPreflights.IGNORE,
    )


def _origin(text: str) -> StringMatch:
    if text == "*":
        return StringMatch(regex=_ANY_ORIGIN)
    if "*" not in text:
        return StringMatch(exact=text)
    return StringMatch(regex=".*".join(re.escape(part) for part in text.split("*")))
