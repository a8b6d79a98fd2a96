"""DestinationRules: which one governs a service for a client, and which policy it gives a port or subset."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pymesh.api import hosts

from .origin import Origin
from .service import full_name
from .visibility import Visibility, exported
from .workload import selects

_PORT_LEVEL = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_WHOLE = (*_PORT_LEVEL, "proxy_protocol", "retry_budget")


@dataclass(frozen=True, slots=True)
class Policy:
    """The parts of a TrafficPolicy, after ports and subsets have had their say."""

    load_balancer: Any = None
    connection_pool: Any = None
    outlier_detection: Any = None
    tls: Any = None
    proxy_protocol: Any = None
    retry_budget: Any = None


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
    audience: frozenset[str] = frozenset()
    """What its exportTo says, word for word."""
    selector: Mapping[str, str] | None = None
    policy: Any = None
    subsets: Mapping[str, Subset] = field(default_factory=dict)

    @property
    def origins(self) -> tuple[Origin, ...]:
        return tuple(Origin("DestinationRule", self.namespace, name) for name in self.names)

    def governs(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds for clients with these labels."""
        return self.selector is None or (bool(labels) and selects(self.selector, labels))

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
        return Policy(**{key: settled.get(key) for key in _WHOLE})

    def tunnel_for(self, subset: str = "") -> Any:
        """The tunnel of a subset's connections, or of those to the whole host: Istio lets no subset inherit it, nor a port leave it out."""
        policy = self.subsets[subset].policy if subset else self.policy
        return policy and policy.tunnel


class Rules:
    """All DestinationRules, by namespace and host."""

    def __init__(self, rules: Iterable[Rule], root_namespace: str) -> None:
        self._root = root_namespace
        self._by_host: dict[str, dict[str, list[Rule]]] = {}
        stated = list(rules)
        joined = list(_merged(stated))
        self.repeated_subsets = sum(len(rule.subsets) for rule in stated) - sum(len(rule.subsets) for rule in joined)
        """Subsets that are not used, as an older rule of the same host has one of the name."""
        for rule in joined:
            self._by_host.setdefault(rule.namespace, {}).setdefault(rule.host, []).append(rule)
        self._wildcards = {
            namespace: sorted((host for host in found if hosts.is_wildcard(host)), key=len, reverse=True)
            for namespace, found in self._by_host.items()
        }

    def find(self, host: str, service_namespace: str, client_namespace: str, client_labels: Mapping[str, str]) -> Rule | None:
        """The rule for a service as one client sees it: the client's namespace before the service's before the root.

        In the root namespace only private rules count as a client's own, as the others speak for the whole mesh. Where a client's own
        namespace has rules, they decide even if none of them selects the client: Istio looks no further either.
        """
        reaches = _reaching(client_namespace)
        own = self._most_specific(host, client_namespace, _is_private if client_namespace == self._root else reaches)
        if own:
            return _chosen(own, client_labels)
        for namespace in (service_namespace, self._root):
            if exported := [rule for rule in self._most_specific(host, namespace, _is_exported) if reaches(rule)]:
                return _chosen(exported, {})
        return None

    def _most_specific(self, host: str, namespace: str, admits: Callable[[Rule], bool]) -> list[Rule]:
        """The rules of one namespace for the most specific host, of those that are admitted."""
        by_host = self._by_host.get(namespace, {})
        for pattern in (host, *self._wildcards.get(namespace, ())):
            if pattern in by_host and hosts.subset_of(host, pattern):
                rules = [rule for rule in by_host[pattern] if admits(rule)]
                if rules:
                    return rules
        return []


def _chosen(rules: Iterable[Rule], labels: Mapping[str, str]) -> Rule | None:
    """Of the rules for one host that which selects a workload, the oldest of several, else that which is for all, the newest of several."""
    general = None
    for rule in rules:
        if rule.selector is None:
            general = rule
        elif rule.governs(labels):
            return rule
    return general


def _reaching(namespace: str) -> Callable[[Rule], bool]:
    return lambda rule: rule.visibility.reaches(namespace)


def _is_private(rule: Rule) -> bool:
    """Rules for selected workloads are for those of their namespace, whatever exportTo says."""
    return rule.visibility.private or rule.selector is not None


def _is_exported(rule: Rule) -> bool:
    return not _is_private(rule)


def from_resource(resource: Any) -> Rule:
    spec = resource.spec
    selector = spec.workload_selector
    return Rule(
        host=full_name(spec.host, resource.namespace),
        namespace=resource.namespace,
        names=(resource.name,),
        visibility=exported(spec.export_to, resource.namespace),
        audience=frozenset(spec.export_to),
        selector=dict(selector.match_labels) if selector else None,
        policy=spec.traffic_policy,
        subsets={subset.name: Subset(subset.name, dict(subset.labels), subset.traffic_policy) for subset in spec.subsets},
    )


def _merged(rules: Iterable[Rule]) -> Iterable[Rule]:
    """Join the rules of one namespace, host, exportTo and selector: the first policy and the first subset of each name stand."""
    groups: dict[object, Rule] = {}
    for rule in rules:
        selector = None if rule.selector is None else tuple(sorted(rule.selector.items()))
        key = (rule.namespace, rule.host, rule.audience, selector)
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
