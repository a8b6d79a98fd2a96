"""Conditions on requests: their words, and the routes that can never be reached."""

import re
from collections.abc import Mapping, Sequence

from ..hosts import MESH_GATEWAY
from ..models.virtualservice import HTTPMatchRequest, HTTPRoute
from ..types import StringMatch
from . import common, words
from .finding import Finding, Findings, below, verdict

_CLAIM = re.compile(r"@request\.auth\.claims(\..+|(\[[^]]+\])+)")


def check(match: HTTPMatchRequest, gateways: Sequence[str]) -> Findings:
    """One match; `gateways` are those of the whole VirtualService."""
    for name, value in (("uri", match.uri), ("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if value is not None:
            yield from below(name, text(value, empty_prefix=name == "uri"))
    bound = match.gateways or gateways
    yield from below("headers", _named(match.headers, claims=bool(bound) and MESH_GATEWAY not in bound))
    yield from below("without_headers", _named(match.without_headers, claims=bool(bound) and MESH_GATEWAY not in bound))
    for key, value in match.query_params.items():
        yield from verdict(("query_params", key), None if key else "the name of a query parameter must not be empty")
        yield from below(("query_params", key), text(value))
    if match.port is not None:
        yield from verdict("port", words.port(match.port))
    yield from below("source_labels", common.labels(match.source_labels))
    if match.source_namespace:
        yield from verdict("source_namespace", words.dns_label(match.source_namespace))
    yield from common.gateway_names(match.gateways)


def text(match: StringMatch, *, empty_prefix: bool = False) -> Findings:
    """A StringMatch: no empty prefix or expression, and an expression that RE2 takes."""
    if match.prefix == "" and not empty_prefix:
        yield Finding(("prefix",), "the prefix must not be empty")
    if match.regex == "":
        yield Finding(("regex",), "the regular expression must not be empty")
    elif match.regex is not None and match.regex != "*":  # Istio takes a lone * for "is present"
        yield from verdict("regex", words.regex(match.regex))


def _named(headers: Mapping[str, StringMatch], *, claims: bool) -> Findings:
    for name, value in headers.items():
        if _CLAIM.fullmatch(name):
            if not claims:
                yield Finding((name,), "a condition on token claims is only for routes of gateways")
        else:
            yield from verdict(name, words.header_name(name.removeprefix(":")))
        yield from below(name, text(value))


def unreachable(routes: Sequence[HTTPRoute]) -> Findings:
    """Warnings for routes and conditions behind others that take every request they are meant for (IST0130, IST0131)."""
    earlier: list[HTTPMatchRequest] = []
    catch_all: int | None = None
    for index, route in enumerate(routes):
        if catch_all is not None:
            yield Finding((index,), f"never reached: http[{catch_all}] has no match and takes every request", "warning")
            continue
        covered = [next((rule for rule in earlier if _covers(rule, match)), None) is not None for match in route.match]
        if route.match and all(covered):
            yield Finding((index,), "never reached: earlier routes take all of its requests", "warning")
        else:
            for place, is_covered in enumerate(covered):
                if is_covered:
                    yield Finding((index, "match", place), "never matches: an earlier route takes these requests", "warning")
        earlier += route.match
        catch_all = index if not route.match else None


def _covers(earlier: HTTPMatchRequest, later: HTTPMatchRequest) -> bool:
    """Whether equal conditions, or a shorter URI prefix beside equal conditions, leave nothing for the later match."""
    if _without_uri(earlier) != _without_uri(later):
        return False
    one, two = earlier.uri, later.uri
    if one == two:
        return True
    return bool(one and two and one.prefix is not None and two.prefix is not None and two.prefix.startswith(one.prefix))


def _without_uri(match: HTTPMatchRequest) -> HTTPMatchRequest:
    return match.model_copy(update={"uri": None, "name": None, "stat_prefix": None})
