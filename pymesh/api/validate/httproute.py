"""HTTP routes: which actions go together, and each action's own rules."""

import http
from collections.abc import Mapping, Sequence

from ..models.virtualservice import Headers, HTTPDirectResponse, HTTPRedirect, HTTPRetry, HTTPRewrite, HTTPRoute, Percent
from . import common, httpmatch, unreachable, words
from .cors import check as check_cors
from .fault import check as check_fault
from .finding import Finding, Findings, below, verdict

_RETRY_ON = frozenset(
    {
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
        "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
        "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    }
)
STATUS_CODES = frozenset(str(status.value) for status in http.HTTPStatus)
_AUTHORITY = (":authority", "host")
_BODY_WARNING, _BODY_LIMIT = 100 * 1024, 1024 * 1024  # bytes


def check(routes: Sequence[HTTPRoute], *, is_delegate: bool, gateways: Sequence[str]) -> Findings:
    """Everything wrong with the `http` list of a VirtualService."""
    for index, route in enumerate(routes):
        yield from below(index, _route(route, is_delegate=is_delegate, gateways=gateways))
    yield from unreachable.of_requests(routes)


def _route(route: HTTPRoute, *, is_delegate: bool, gateways: Sequence[str]) -> Findings:
    yield from _action(route, is_delegate=is_delegate)
    for index, match in enumerate(route.match):
        yield from below(("match", index), httpmatch.check(match, gateways))
    for place, target in enumerate(route.route):
        yield from below(("route", place, "destination"), common.destination(target.destination))
        yield from below(("route", place, "headers"), _headers(target.headers, None))
    yield from below("route", common.weights([target.weight for target in route.route]))
    yield from below("headers", _headers(route.headers, route.rewrite))
    yield from _mirrors(route)
    yield from below("redirect", _redirect(route.redirect, route)) if route.redirect else ()
    yield from below("direct_response", _direct_response(route.direct_response)) if route.direct_response else ()
    yield from below("rewrite", _rewrite(route.rewrite)) if route.rewrite else ()
    yield from below("retries", retries_of(route.retries)) if route.retries else ()
    yield from below("fault", check_fault(route.fault)) if route.fault else ()
    yield from below("cors_policy", check_cors(route.cors_policy)) if route.cors_policy else ()


def _action(route: HTTPRoute, *, is_delegate: bool) -> Findings:
    others = {"route": bool(route.route), "fault": bool(route.fault), "rewrite": bool(route.rewrite)}
    if route.delegate is not None:
        yield from _delegating(route, is_delegate=is_delegate)
    elif route.redirect is not None:
        yield from _exclusive("redirect", others | {"directResponse": bool(route.direct_response)})
    elif route.direct_response is not None:
        yield from _exclusive("directResponse", others)
    elif not route.route:
        yield Finding((), "needs one of route, redirect and directResponse")


def _delegating(route: HTTPRoute, *, is_delegate: bool) -> Findings:
    if is_delegate:
        yield Finding(("delegate",), "a delegate must not delegate again")
    else:
        yield from _exclusive("delegate", {"route": bool(route.route), "redirect": bool(route.redirect)})


def _exclusive(action: str, others: Mapping[str, bool]) -> Findings:
    for name, present in others.items():
        if present:
            yield Finding((name,), f'"{name}" has no meaning beside "{action}"')


def _mirrors(route: HTTPRoute) -> Findings:
    if route.mirror and route.mirrors:
        yield Finding(("mirrors",), '"mirror" and "mirrors" cannot be set together')
    if route.mirror:
        yield from below("mirror", common.destination(route.mirror))
    for index, mirror in enumerate(route.mirrors):
        yield from below(("mirrors", index, "destination"), common.destination(mirror.destination))
        yield from below(("mirrors", index, "percentage"), _mirrored(mirror.percentage))
    yield from below("mirror_percentage", _mirrored(route.mirror_percentage))
    if route.mirror_percent is not None:
        yield Finding(("mirror_percent",), "deprecated; use mirrorPercentage", "warning", "IST0002")
        if route.mirror_percent > 100:
            yield Finding(("mirror_percent",), f"the percentage {route.mirror_percent} is over 100")


def _mirrored(share: Percent | None) -> Findings:
    """Unlike the share of a fault it may be less than Envoy can express, which is nothing then."""
    if share is not None and not 0 <= (share.value or 0) <= 100:
        yield Finding(("value",), f"the percentage {share.value:g} must be between 0 and 100")


def _headers(headers: Headers | None, rewrite: HTTPRewrite | None) -> Findings:
    if headers is None:
        return
    if request := headers.request:
        yield from below("request", _operations(request.set, request.add, request.remove, authority=True))
        yield from below("request", _authority_once(request.set, request.add, rewrite))
    if response := headers.response:
        yield from below("response", _operations(response.set, response.add, response.remove, authority=False))


def _operations(sets: Mapping[str, str], adds: Mapping[str, str], removes: Sequence[str], *, authority: bool) -> Findings:
    for operation, values in (("set", sets), ("add", adds)):
        for name, value in values.items():
            yield from verdict((operation, name), _editable(name, authority=authority))
            yield from verdict((operation, name), words.header_value(value))
    for index, name in enumerate(removes):
        yield from verdict(("remove", index), _editable(name, authority=False))


def _editable(name: str, *, authority: bool) -> str | None:
    if name.lower() in _AUTHORITY and authority:
        return None
    if name.startswith(":") or name.lower() == "host":
        return f'the header "{name}" cannot be changed here'
    return words.header_name(name)


def _authority_once(sets: Mapping[str, str], adds: Mapping[str, str], rewrite: HTTPRewrite | None) -> Findings:
    places = [(operation, name) for operation, values in (("set", sets), ("add", adds)) for name in values if name.lower() in _AUTHORITY]
    already = bool(rewrite and rewrite.authority)
    for place in places if already else places[1:]:
        yield Finding(place, "the authority of the request is already rewritten")


def _redirect(redirect: HTTPRedirect, route: HTTPRoute) -> Findings:
    targets = (redirect.uri, redirect.prefix_rewrite, redirect.authority, redirect.scheme, redirect.port, redirect.derive_port)
    if not any(targets) and redirect.port is None:
        yield Finding((), "needs at least one of uri, prefixRewrite, authority, scheme, port and derivePort")
    if redirect.uri and redirect.prefix_rewrite:
        yield Finding(("prefix_rewrite",), '"uri" and "prefixRewrite" cannot be set together')
    if redirect.prefix_rewrite and any(match.uri is not None and match.uri.prefix is None for match in route.match):
        yield Finding(("prefix_rewrite",), '"prefixRewrite" needs a prefix wherever the route matches a uri')
    if redirect.scheme and redirect.scheme not in ("http", "https"):
        yield Finding(("scheme",), f'the scheme "{redirect.scheme}" must be http or https')
    if redirect.redirect_code and not 300 <= redirect.redirect_code <= 399:
        yield Finding(("redirect_code",), f"the status {redirect.redirect_code} is no redirect (300 to 399)")
    yield from common.port(redirect.port)


def _direct_response(response: HTTPDirectResponse) -> Findings:
    if not 200 <= response.status <= 600:
        yield Finding(("status",), f"the status {response.status} is not between 200 and 599")
    body = response.body
    size = max(len((body.string or "").encode()), len(body.bytes or b"")) if body else 0
    if size > _BODY_LIMIT:
        yield Finding(("body",), f"the body of {size} bytes is over the limit of {_BODY_LIMIT}")
    elif size > _BODY_WARNING:
        yield Finding(("body",), f"a body of {size} bytes makes every proxy's configuration large", "warning")


def _rewrite(rewrite: HTTPRewrite) -> Findings:
    expression = rewrite.uri_regex_rewrite
    if not rewrite.uri and not rewrite.authority and expression is None:
        yield Finding((), "needs at least one of uri, uriRegexRewrite and authority")
    if expression is None:
        return
    if rewrite.uri:
        yield Finding(("uri_regex_rewrite",), '"uri" and "uriRegexRewrite" cannot be set together')
    for name, value in (("match", expression.match), ("rewrite", expression.rewrite)):
        if not value:
            yield Finding(("uri_regex_rewrite",), f'needs "{name}"')
    yield from verdict(("uri_regex_rewrite", "match"), words.regex(expression.match or ""))


def retries_of(retries: HTTPRetry) -> Findings:
    """A retry policy, of a route or of the mesh."""
    attempts = retries.attempts or 0
    if attempts < 0:
        yield Finding(("attempts",), f"the number of attempts {attempts} is negative")
    if attempts == 0:
        values = (retries.per_try_timeout, retries.retry_on or None, retries.retry_remote_localities)
        for name, value in zip(("per_try_timeout", "retry_on", "retry_remote_localities"), values, strict=True):
            if value is not None:
                yield Finding((name,), "has no meaning without attempts")
    for token in retries.retry_on.split(",") if retries.retry_on else ():
        if token not in _RETRY_ON | STATUS_CODES:
            hint = " (write the list without spaces)" if token.strip() in _RETRY_ON | STATUS_CODES else ""
            yield Finding(("retry_on",), f'"{token}" is neither a retry condition nor a status code{hint}')
