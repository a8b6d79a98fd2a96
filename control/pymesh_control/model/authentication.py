"""PeerAuthentications: whether a workload's port takes mutual TLS, plaintext, or both."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .origin import Origin
from .workload import selects


class Mode(enum.Enum):
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRule:
    """One PeerAuthentication; a mode of None inherits from the level above."""

    name: str
    namespace: str
    mode: Mode | None
    selector: Mapping[str, str] | None = None
    ports: Mapping[int, Mode | None] = field(default_factory=dict)
    """By the port that the workload listens on."""

    def stated(self, port: int) -> Mode | None:
        """What it says of a port."""
        return self.ports.get(port) or self.mode

    @property
    def origin(self) -> Origin:
        return Origin("PeerAuthentication", self.namespace, self.name)


class Authentication:
    """Every PeerAuthentication, oldest first at each level: workload, namespace, mesh."""

    def __init__(self, rules: Iterable[PeerRule], root_namespace: str) -> None:
        self._root = root_namespace
        self._selecting: list[PeerRule] = []
        self._namespaces: dict[str, PeerRule] = {}
        for rule in rules:
            if rule.selector:
                self._selecting.append(rule)
            else:
                self._namespaces.setdefault(rule.namespace, rule)

    def namespace_mode(self, namespace: str) -> Mode:
        """The mode without regard to workloads: what a client may infer of a whole service."""
        rule = self._of_namespace(namespace)
        return (rule and rule.mode) or Mode.PERMISSIVE

    def mode(self, namespace: str, labels: Mapping[str, str], port: int) -> Mode:
        """The mode of one port of one workload."""
        rule = self.deciding(namespace, labels, port)
        return (rule and rule.stated(port)) or Mode.PERMISSIVE

    def deciding(self, namespace: str, labels: Mapping[str, str], port: int) -> PeerRule | None:
        """The rule that gives a port of a workload its mode, if any does."""
        rule = next((rule for rule in self._selecting if self._applies(rule, namespace, labels)), None)
        return rule if rule and rule.stated(port) else self._of_namespace(namespace)

    def _of_namespace(self, namespace: str) -> PeerRule | None:
        rules = map(self._namespaces.get, (namespace, self._root))
        return next((rule for rule in rules if rule and rule.mode), None)

    def stated_ports(self, namespace: str, labels: Mapping[str, str]) -> list[int]:
        """The ports of a workload that have a mode of their own."""
        rule = next((rule for rule in self._selecting if self._applies(rule, namespace, labels)), None)
        return sorted(rule.ports) if rule else []

    def _applies(self, rule: PeerRule, namespace: str, labels: Mapping[str, str]) -> bool:
        return rule.namespace in (namespace, self._root) and selects(rule.selector or {}, labels)


def from_resource(resource: Any) -> PeerRule:
    spec = resource.spec
    return PeerRule(
        name=resource.name,
        namespace=resource.namespace,
        mode=_mode(spec.mtls),
        selector=dict(spec.selector.match_labels) if spec.selector else None,
        ports={int(port): _mode(mtls) for port, mtls in spec.port_level_mtls.items()},
    )


def _mode(mtls: Any) -> Mode | None:
    if mtls is None or mtls.mode is None or mtls.mode.value == "UNSET":
        return None
    return Mode(mtls.mode.value)
