"""DestinationRules: which one governs a service for a client, and which policy it gives a port or subset."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import hosts
from .visibility import Visibility, exported
from .workload import selects

_PORT_LEVEL = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_WHOLE = (*_PORT_LEVEL, "tunnel", "proxy_protocol", "retry_budget")


@dataclass(frozen=True, slots=True)
class Policy:
    """The parts of a TrafficPolicy that we act on, after ports and subsets have had their say."""

    load_balancer: Any = None
    connection_pool: Any = None
    tls: Any = None


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a service's instances."""

    name: str
    labels: Mapping[str, str]
    policy: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One DestinationRule, or several of one host and namespace merged."""

    host: str
    namespace: str
    names: tuple[str, ...]
    visibility: Visibility
    selector: Mapping[str, str] | None = None
    policy: Any = None
    subsets: Mapping[str, Subset] = field(default_factory=dict)

    def policy_for(self, port: int, subset: str = "") -> Policy:
        """The policy of a port, overlaid by that of a subset.

        A port's own settings replace the rule's, nothing inherited; a subset's replace them one by one, or all four at
        once where the subset has settings for that very port.
        """
        settled = _at_port(self.policy, port) or _parts(self.policy, _WHOLE)
        if subset and self.subsets[subset].policy is not None:
            overlay = self.subsets[subset].policy
            at_port = _at_port(overlay, port)
            settled |= at_port or {key: value for key, value in _parts(overlay, _WHOLE).items() if value is not None}
        return Policy(**{key: settled.get(key) for key in ("load_balancer", "connection_pool", "tls")})


class Rules:
    """All DestinationRules, by namespace."""

    def __init__(self, rules: Iterable[Rule], root_namespace: str) -> None:
        self._root = root_namespace
        self._by_namespace: dict[str, list[Rule]] = {}
        for rule in _merged(rules):
            self._by_namespace.setdefault(rule.namespace, []).append(rule)

    def find(self, host: str, service_namespace: str, client_namespace: str, client_labels: Mapping[str, str]) -> Rule | None:
        """The rule for a service as one client sees it: the client's namespace before the service's before the root."""
        if client_namespace != self._root:
            own = self._best(host, client_namespace, client_labels, lambda rule: rule.visibility.reaches(client_namespace))
        else:
            own = self._best(host, client_namespace, client_labels, lambda rule: rule.visibility.private)
        if own:
            return own
        for namespace in (service_namespace, self._root):
            found = self._best(host, namespace, {}, lambda rule: rule.visibility.reaches(client_namespace))
            if found:
                return found
        return None

    def _best(self, host: str, namespace: str, labels: Mapping[str, str], admits: Any) -> Rule | None:
        """The most specific host of one namespace; among equals one that selects this workload before one that selects all."""
        rules = [rule for rule in self._by_namespace.get(namespace, ()) if admits(rule)]
        rules = [rule for rule in rules if rule.selector is None or (labels and selects(rule.selector, labels))]
        pattern = hosts.most_specific(host, (rule.host for rule in rules))
        return min((rule for rule in rules if rule.host == pattern), key=lambda rule: rule.selector is None, default=None)


def from_resource(resource: Any) -> Rule:
    spec = resource.spec
    selector = spec.workload_selector
    return Rule(
        host=hosts.fqdn(spec.host, resource.namespace),
        namespace=resource.namespace,
        names=(resource.name,),
        visibility=exported(spec.export_to, resource.namespace),
        selector=dict(selector.match_labels) if selector else None,
        policy=spec.traffic_policy,
        subsets={subset.name: Subset(subset.name, dict(subset.labels), subset.traffic_policy) for subset in spec.subsets},
    )


def _merged(rules: Iterable[Rule]) -> Iterable[Rule]:
    """Join the rules of one namespace, host, audience and selector: the first policy and the first subset of each name stand."""
    groups: dict[object, Rule] = {}
    for rule in rules:
        selector = None if rule.selector is None else tuple(sorted(rule.selector.items()))
        key = (rule.namespace, rule.host, rule.visibility, selector)
        first = groups.get(key)
        groups[key] = rule if first is None else _joined(first, rule)
    return groups.values()


def _joined(first: Rule, other: Rule) -> Rule:
    return replace(
        first,
        names=first.names + other.names,
        policy=first.policy if first.policy is not None else other.policy,
        subsets={**other.subsets, **first.subsets},
    )


def _at_port(policy: Any, port: int) -> dict[str, Any] | None:
    if policy is None:
        return None
    found = next((item for item in policy.port_level_settings if item.port and item.port.number == port), None)
    return None if found is None else _parts(found, _PORT_LEVEL)


def _parts(policy: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(policy, name, None) for name in names}
