"""Conditions on requests, word by word."""

import re
from collections.abc import Mapping, Sequence

from ..hosts import MESH_GATEWAY
from ..models.virtualservice import HTTPMatchRequest
from ..types import StringMatch
from . import common, words
from .finding import Finding, Findings, below, verdict

_PSEUDO = (":method", ":scheme", ":authority", ":path", ":status")  # RFC 9113, 8.3
_CLAIM = re.compile(r"@request\.auth\.claims(\..+|\[.+\])", re.IGNORECASE | re.DOTALL)


def check(match: HTTPMatchRequest, gateways: Sequence[str]) -> Findings:
    """One match; `gateways` are those of the whole VirtualService."""
    for name, value in (("uri", match.uri), ("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if value is not None:
            yield from below(name, text(value, empty_prefix=name == "uri"))
    claims = bool(gateways) and MESH_GATEWAY not in gateways  # whatever gateways the match itself names
    yield from below("headers", _named(match.headers, claims=claims))
    yield from below("without_headers", _named(match.without_headers, claims=claims, lone_star=True))
    for key, value in match.query_params.items():
        yield from verdict(("query_params", key), None if key else "the name of a query parameter must not be empty")
        yield from below(("query_params", key), text(value))
    yield from common.port(match.port)
    yield from below("source_labels", common.labels(match.source_labels))
    if match.source_namespace:
        yield from verdict("source_namespace", words.dns_label(match.source_namespace))
    yield from common.gateway_names(match.gateways)


def text(match: StringMatch, *, empty_prefix: bool = False, lone_star: bool = False) -> Findings:
    """A StringMatch: no empty prefix or expression, and an expression that RE2 takes, or the lone `*` that means "is present"."""
    if match.prefix == "" and not empty_prefix:
        yield Finding(("prefix",), "the prefix must not be empty")
    if match.regex == "":
        yield Finding(("regex",), "the regular expression must not be empty")
    elif match.regex is not None and not (lone_star and match.regex == "*"):
        yield from verdict("regex", words.regex(match.regex))


def _named(headers: Mapping[str, StringMatch], *, claims: bool, lone_star: bool = False) -> Findings:
    for name, value in headers.items():
        if _CLAIM.fullmatch(name):
            if not claims:
                yield Finding((name,), "a condition on token claims is only for routes of gateways")
        elif name not in _PSEUDO:
            yield from verdict(name, words.header_name(name))
        yield from below(name, text(value, lone_star=lone_star))
