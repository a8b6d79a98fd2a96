"""HTTPRoute: conditions on requests, limits, and which actions go together."""

import re
from collections.abc import Sequence

from ...models.gatewayapi.grpcroute import GRPCHeaderMatch, GRPCRouteRule
from ...models.gatewayapi.httproute import (
    HTTPBackendRef,
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPQueryParamMatch,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPRouteTimeouts,
    MatchType,
    PathMatchType,
)
from .. import words
from ..finding import Finding, Findings, below, verdict
from . import filters, session
from .references import LONGEST_PARAMETER, LONGEST_VALUE, backend, hostnames, limit, named_once, parents, rule_names, too_long

_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_NORMALISED = ("//", "/./", "/../", "%2f", "%2F")
_MOST_RULES = 16
_MOST_MATCHES = 64
_MOST_MATCHES_OF_ALL = 128
_MOST_CONDITIONS = 16
MOST_BACKENDS = 16


def check(spec: HTTPRoute, _namespace: str) -> Findings:
    """Everything wrong with one HTTPRoute."""
    yield from parents(spec)
    yield from hostnames(spec.hostnames)
    yield from rules_of(spec.rules)
    for index, rule in enumerate(spec.rules):
        yield from below(("rules", index), _rule(rule))


def rules_of(rules: Sequence[HTTPRouteRule | GRPCRouteRule]) -> Findings:
    """The number of rules and matches, and the rules' names."""
    yield from limit("rules", rules, _MOST_RULES, least=1)
    yield from below("rules", rule_names([rule.name for rule in rules]))
    total = sum(len(rule.matches) for rule in rules)
    if total > _MOST_MATCHES_OF_ALL:
        yield Finding(("rules",), f"at most {_MOST_MATCHES_OF_ALL} matches in all rules, found {total}")
    for index, rule in enumerate(rules):
        yield from below(("rules", index), limit("matches", rule.matches, _MOST_MATCHES))


def _rule(rule: HTTPRouteRule) -> Findings:
    for index, match in enumerate(rule.matches):
        yield from below(("matches", index), _match(match))
    replaces_prefix = _has_one_prefix(rule)
    yield from filters.check(rule.filters, replaces_prefix=replaces_prefix)
    yield from below("backend_refs", _backends(rule.backend_refs, replaces_prefix=replaces_prefix))
    yield from limit("backend_refs", rule.backend_refs, MOST_BACKENDS)
    yield from below("session_persistence", session.check(rule.session_persistence)) if rule.session_persistence else ()
    if rule.backend_refs and any(one.request_redirect for one in rule.filters):
        yield Finding(("backend_refs",), "a rule that redirects has no backends")
    yield from below("timeouts", _timeouts(rule.timeouts)) if rule.timeouts else ()


def _has_one_prefix(rule: HTTPRouteRule) -> bool:
    """The matches that are not written are one of the prefix `/`, though not to the schema's rule, which wants one that is."""
    return len(rule.matches) == 1 and rule.matches[0].path.type is PathMatchType.PATH_PREFIX


def _backends(references: Sequence[HTTPBackendRef], *, replaces_prefix: bool) -> Findings:
    for index, reference in enumerate(references):
        yield from below(index, backend(reference))
        yield from below(index, filters.check(reference.filters, replaces_prefix=replaces_prefix))


def _match(match: HTTPRouteMatch) -> Findings:
    yield from below("path", _path(match.path))
    yield from below("headers", conditions(match.headers))
    yield from limit("headers", match.headers, _MOST_CONDITIONS)
    yield from below("query_params", conditions(match.query_params))
    yield from limit("query_params", match.query_params, _MOST_CONDITIONS)


def _path(path: HTTPPathMatch) -> Findings:
    if path.type is PathMatchType.REGULAR_EXPRESSION:
        yield from verdict("value", words.regex(path.value) if path.value else "must not be empty")
        return
    problems = [f'must not hold "{part}"' for part in _NORMALISED if part in path.value]
    if not path.value.startswith("/"):
        problems.append('must begin with "/"')
    elif path.value.endswith(("/.", "/..")):
        problems.append('must not end in "/." or "/.."')
    elif not _PATH.fullmatch(path.value):
        problems.append("holds a character that paths do not have")
    for problem in problems:
        yield Finding(("value",), f'the path "{path.value}" {problem}')


def conditions(values: Sequence[HTTPHeaderMatch | HTTPQueryParamMatch | GRPCHeaderMatch]) -> Findings:
    """Conditions on headers or query parameters, whose names are those of headers."""
    yield from named_once([one.name for one in values])
    for index, one in enumerate(values):
        yield from verdict((index, "name"), words.header_name(one.name))
        most = LONGEST_PARAMETER if isinstance(one, HTTPQueryParamMatch) else LONGEST_VALUE
        yield from verdict((index, "value"), too_long(one.value, most))
        if not one.value:
            yield Finding((index, "value"), "must not be empty")
        elif one.type is MatchType.REGULAR_EXPRESSION:
            yield from verdict((index, "value"), words.regex(one.value))


def _timeouts(timeouts: HTTPRouteTimeouts) -> Findings:
    whole, each = timeouts.request, timeouts.backend_request
    if whole and each and each > whole:
        yield Finding(("backend_request",), "a try cannot take longer than the whole request")
