"""The mesh as one kind of client sees it. Proxies of equal scope share every outbound resource that is made for one of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pymesh.api import hosts

from ..model.destination import Rule
from ..model.protocol import Protocol
from ..model.service import Port, Service
from ..model.snapshot import Snapshot
from ..model.view import PYMESH, ProxyView
from ..model.virtual import MeshRules

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a client's view of the mesh depends on; `labels` are only those that rules ask about."""

    snapshot: Snapshot
    namespace: str
    labels: tuple[tuple[str, str], ...]
    type: str
    flavor: str

    def cached(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """The value made for `key` in this scope, made once per snapshot."""
        return self.snapshot.cached((self.namespace, self.labels, self.type, self.flavor, *key), make)

    @property
    def services(self) -> Mapping[str, Service]:
        """The services in sight, by host, their ports as this flavor of proxy can carry them."""
        return self.cached(
            ("services",), lambda: {host: carried(one, self.flavor) for host, one in self.snapshot.visible(self.namespace).items()}
        )

    @property
    def routes(self) -> MeshRules:
        return self.snapshot.mesh_rules(self.namespace)

    def rule(self, service: Service) -> Rule | None:
        """The DestinationRule that governs calls to a service."""
        make = lambda: (self.snapshot.rules.find(service.host, service.namespace, self.namespace, dict(self.labels)),)  # noqa: E731
        return self.snapshot.cached(("rule", self.namespace, self.labels, service.namespace, service.host), make)[0]

    def ports(self) -> Iterable[tuple[Service, Port]]:
        for service in self.services.values():
            for port in service.ports:
                yield service, port

    def destination_port(self, host: str, stated: int | None, called: int) -> int:
        """The port of a route's destination: the one stated, else the only one of the service, else the one that the client called."""
        if stated is not None:
            return stated
        service = self.services.get(host)
        return service.ports[0].number if service and len(service.ports) == 1 else called


def scope_of(snapshot: Snapshot, view: ProxyView) -> Scope:
    labels = tuple(sorted((key, value) for key, value in view.labels.items() if key in snapshot.label_keys))
    return Scope(snapshot, view.namespace, labels, view.type, view.flavor)


def carried(service: Service, flavor: str) -> Service:
    """The service as a proxy can carry it: our own does not speak HTTP/2 yet, so it takes what needs it as opaque connections."""
    if flavor != PYMESH or not any(port.protocol.is_http2 for port in service.ports):
        return service
    ports = tuple(replace(port, protocol=Protocol.TCP) if port.protocol.is_http2 else port for port in service.ports)
    return replace(service, ports=ports)


def alternative_names(service: Service, namespace: str) -> tuple[str, ...]:
    """The short names by which clients of a namespace may call a service of the cluster's domain."""
    suffix = f".svc.{hosts.DEFAULT_DOMAIN}"
    name, dot, place = service.host.removesuffix(suffix).partition(".")
    if not service.host.endswith(suffix) or not dot or "." in place:
        return ()
    own = (name,) if place == namespace else ()
    return (*own, f"{name}.{place}", f"{name}.{place}.svc")
