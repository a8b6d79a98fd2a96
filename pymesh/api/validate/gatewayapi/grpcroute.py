"""GRPCRoute: services and methods."""

import re
from collections.abc import Sequence

from ...models.gatewayapi.grpcroute import GRPCBackendRef, GRPCMethodMatch, GRPCRoute, GRPCRouteMatch, GRPCRouteRule
from ...models.gatewayapi.httproute import MatchType
from .. import words
from ..finding import Finding, Findings, below, verdict
from . import filters, session
from .httproute import MOST_BACKENDS, conditions, rules_of
from .references import backend, hostnames, limit, parents, too_long

_LONGEST = 1024
_SERVICE = re.compile(r"(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def check(spec: GRPCRoute, _namespace: str) -> Findings:
    """Everything wrong with one GRPCRoute."""
    yield from parents(spec)
    yield from hostnames(spec.hostnames)
    if spec.rules:
        yield from rules_of(spec.rules)
    for index, rule in enumerate(spec.rules):
        yield from below(("rules", index), _rule(rule))


def _rule(rule: GRPCRouteRule) -> Findings:
    for index, match in enumerate(rule.matches):
        yield from below(("matches", index), _match(match))
    yield from filters.check(rule.filters, replaces_prefix=False)
    yield from below("backend_refs", _backends(rule.backend_refs))
    yield from limit("backend_refs", rule.backend_refs, MOST_BACKENDS)
    yield from below("session_persistence", session.check(rule.session_persistence)) if rule.session_persistence else ()


def _backends(references: Sequence[GRPCBackendRef]) -> Findings:
    for index, reference in enumerate(references):
        yield from below(index, backend(reference))
        yield from below(index, filters.check(reference.filters, replaces_prefix=False))


def _match(match: GRPCRouteMatch) -> Findings:
    yield from below("method", _method(match.method)) if match.method else ()
    yield from below("headers", conditions(match.headers))


def _method(match: GRPCMethodMatch) -> Findings:
    if not match.service and not match.method:
        yield Finding((), 'needs "service", "method" or both')
    for name, value, pattern in (("service", match.service, _SERVICE), ("method", match.method, _METHOD)):
        if not value:
            continue
        yield from verdict(name, too_long(value, _LONGEST))
        if match.type is MatchType.REGULAR_EXPRESSION:
            yield from verdict(name, words.regex(value))
        elif not pattern.fullmatch(value):
            yield Finding((name,), f'"{value}" is not the name of a {name}')
