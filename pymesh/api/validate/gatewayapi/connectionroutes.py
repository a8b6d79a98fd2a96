"""TLSRoute and TCPRoute: rules with at least one backend.

The current version allows one rule, and TLSRoutes without host names no more; the older ones, which are served too, allow what is
allowed here, and it has but one meaning.
"""

from collections.abc import Sequence

from ...models.gatewayapi.connectionroutes import ConnectionRule, TCPRoute, TLSRoute
from ..finding import Findings, below
from .httproute import MOST_BACKENDS
from .references import backend, hostnames, limit, parents, rule_names

_MOST_HOSTNAMES = 1024
_MOST_RULES = 16


def check_tls(spec: TLSRoute, _namespace: str) -> Findings:
    """Everything wrong with one TLSRoute."""
    yield from parents(spec)
    yield from hostnames(spec.hostnames, most=_MOST_HOSTNAMES)
    yield from _rules(spec.rules)


def check_tcp(spec: TCPRoute, _namespace: str) -> Findings:
    """Everything wrong with one TCPRoute."""
    yield from parents(spec)
    yield from _rules(spec.rules)


def _rules(rules: Sequence[ConnectionRule]) -> Findings:
    yield from limit("rules", rules, _MOST_RULES, least=1)
    yield from below("rules", rule_names([rule.name for rule in rules]))
    for index, rule in enumerate(rules):
        yield from below(("rules", index), limit("backend_refs", rule.backend_refs, MOST_BACKENDS, least=1))
        for place, reference in enumerate(rule.backend_refs):
            yield from below(("rules", index, "backend_refs", place), backend(reference))
