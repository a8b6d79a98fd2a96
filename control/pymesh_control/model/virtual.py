"""VirtualServices: which one routes a host for a sidecar, and which ones bind to a gateway."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import hosts
from .visibility import Visibility, exported

MESH = "mesh"
"""The gateway name that stands for all sidecars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualService:
    """One VirtualService with its names in full."""

    name: str
    namespace: str
    hosts: tuple[str, ...]
    gateways: frozenset[str]
    """`mesh`, or `<namespace>/<name>`."""
    visibility: Visibility
    spec: Any

    def destination(self, host: str) -> str:
        """The full name of a destination that one of its routes names."""
        return hosts.fqdn(host, self.namespace)

    def gateway(self, name: str) -> str:
        """The full name of a gateway that one of its matches names."""
        return gateway_name(name, self.namespace)


class MeshRules:
    """The VirtualServices that sidecars of one namespace obey: for each host the first, private before shared before public."""

    def __init__(self, namespace: str, services: Iterable[VirtualService]) -> None:
        seen = [one for one in services if MESH in one.gateways and one.visibility.reaches(namespace)]
        self.ordered: tuple[VirtualService, ...] = tuple(sorted(seen, key=_reach))
        self._by_host: dict[str, VirtualService] = {}
        for one in self.ordered:
            for host in one.hosts:
                self._by_host.setdefault(host, one)
        self._wildcards = [host for host in self._by_host if host.startswith("*")]

    def find(self, host: str) -> VirtualService | None:
        exact = self._by_host.get(host)
        if exact or not self._wildcards:
            return exact
        pattern = hosts.most_specific(host, self._wildcards)
        return None if pattern is None else self._by_host[pattern]

    def claims(self) -> Iterable[tuple[str, VirtualService]]:
        """Every host that some rule names, with the rule that has it."""
        return self._by_host.items()


def from_resource(resource: Any) -> VirtualService:
    spec = resource.spec
    return VirtualService(
        name=resource.name,
        namespace=resource.namespace,
        hosts=tuple(hosts.fqdn(host, resource.namespace) for host in spec.hosts),
        gateways=frozenset(gateway_name(name, resource.namespace) for name in spec.gateways or (MESH,)),
        visibility=exported(spec.export_to, resource.namespace),
        spec=spec,
    )


def gateway_name(name: str, namespace: str) -> str:
    """`<namespace>/<name>` for a gateway as a rule of `namespace` writes it; `mesh` stays."""
    if name == MESH:
        return name
    place, slash, short = name.partition("/")
    if slash:
        return f"{namespace if place == '.' else place}/{short}"
    return f"{namespace}/{name}"


def _reach(service: VirtualService) -> int:
    if service.visibility.everywhere:
        return 2
    return 0 if service.visibility.private else 1
