"""VirtualServices: which one routes a host for a sidecar, and which ones bind to a gateway."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymesh.api import hosts

from .origin import Origin
from .service import full_name
from .visibility import Visibility, exported

MESH = hosts.MESH_GATEWAY
"""The gateway name that stands for all sidecars."""

UNKNOWN_SERVICE = "UnknownService"
"""The destination of the Gateway API's routes whose backend is not there, or not for them: no proxy has such a cluster."""


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
    authors: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    """By list (`http`, `tls`, `tcp`) who wrote each of its routes, where that is not the VirtualService itself."""
    follows_gateway_api: bool = False
    """Whether its prefixes are of whole segments, and what its destinations lack is an error of the mesh (500)."""

    @property
    def origin(self) -> Origin:
        """The resource that it was made of; of several the first."""
        written = next((origins[0] for origins in self.authors.values() if origins), None)
        return written or Origin("VirtualService", self.namespace, self.name)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Every resource that it was made of."""
        written = dict.fromkeys(origin for origins in self.authors.values() for origin in origins)
        return tuple(written) or (self.origin,)

    def author(self, kind: str, index: int) -> Origin:
        """The resource that wrote one route of a list."""
        return self.authors[kind][index] if kind in self.authors else self.origin

    def destination(self, host: str) -> str:
        """The full name of a destination that one of its routes names."""
        return full_name(host, self.namespace)

    @property
    def destinations(self) -> frozenset[str]:
        """The full names of all of them, and of those that get copies."""
        shares = [share for kind in (self.spec.http, self.spec.tls, self.spec.tcp) for route in kind for share in route.route]
        copies = [one for http in self.spec.http for one in (http.mirror, *(each.destination for each in http.mirrors)) if one]
        return frozenset(self.destination(one.host) for one in (*(share.destination for share in shares), *copies))

    def gateway(self, name: str) -> str:
        """The full name of a gateway that one of its matches names."""
        return hosts.expand_gateway(name, self.namespace)


class MeshRules:
    """The VirtualServices that sidecars of one namespace obey, in the order in which they contend: private before shared before public."""

    def __init__(self, namespace: str, services: Iterable[VirtualService]) -> None:
        seen = [one for one in services if MESH in one.gateways and one.visibility.reaches(namespace)]
        self.ordered: tuple[VirtualService, ...] = tuple(sorted(seen, key=reach))
        self._by_host: dict[str, list[VirtualService]] = {}
        for one in self.ordered:
            for host in dict.fromkeys(one.hosts):
                self._by_host.setdefault(host, []).append(one)
        self._wildcards = [host for host in self._by_host if host.startswith("*")]

    def find(self, host: str) -> VirtualService | None:
        """The first that names a host."""
        return next(iter(self.contenders(host)), None)

    def contenders(self, host: str) -> Sequence[VirtualService]:
        """Those that name a host, of which requests go by the first that has a route; else the first that names the most specific
        wildcard over it, alone, as Istio has it."""
        exact = self._by_host.get(host)
        if exact or not self._wildcards:
            return exact or ()
        pattern = hosts.most_specific(host, self._wildcards)
        return () if pattern is None else self._by_host[pattern][:1]

    def covering(self, host: str) -> Sequence[VirtualService]:
        """Those that name a host, a wildcard over it, or one of a wildcard's: connections go by all of them."""
        others = self._by_host if hosts.is_wildcard(host) else self._wildcards
        names = [name for name in others if name != host and hosts.matches(host, name)]
        if not names:
            return self._by_host.get(host, ())
        found = {id(one) for name in (host, *names) for one in self._by_host.get(name, ())}
        return [one for one in self.ordered if id(one) in found]

    def claims(self) -> Iterable[tuple[str, VirtualService]]:
        """Every host that some rule names, with the first rule that names it."""
        return ((host, rules[0]) for host, rules in self._by_host.items())


def from_resource(resource: Any) -> VirtualService:
    spec = resource.spec
    return VirtualService(
        name=resource.name,
        namespace=resource.namespace,
        hosts=tuple(full_name(host, resource.namespace) for host in spec.hosts),
        gateways=frozenset(hosts.expand_gateway(name, resource.namespace) for name in spec.gateways or (MESH,)),
        visibility=exported(spec.export_to, resource.namespace),
        spec=spec,
    )


def reach(service: VirtualService) -> int:
    """Where rules stand that contend: what is for few comes before what is for all."""
    if service.visibility.everywhere:
        return 2
    return 0 if service.visibility.private else 1
