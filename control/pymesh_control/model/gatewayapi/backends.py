"""What routes send requests and connections to: services of the mesh, found by the references of the Gateway API."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymesh.api import hosts
from pymesh.api.models.virtualservice import Destination
from pymesh.api.types import PortSelector

from ..service import Service
from ..support import Path
from ..virtual import UNKNOWN_SERVICE
from .conditions import ACCEPTED, RESOLVED, Condition, bad
from .grants import Grants, Target

_SERVICES = {("", "Service"), ("multicluster.x-k8s.io", "ServiceImport")}
_HOSTNAME = ("networking.istio.io", "Hostname")


class Backends:
    """All services, by the names that references have for them."""

    def __init__(self, services: Iterable[Service], aliases: Mapping[str, str], grants: Grants) -> None:
        self._grants = grants
        self._aliases = aliases
        self._by_host: dict[str, list[Service]] = {}
        for one in services:
            self._by_host.setdefault(one.host, []).append(one)

    def service(self, name: str, namespace: str) -> Service | None:
        """The Service of a name and namespace, whatever declares it."""
        found = self._at(hosts.expand(name, namespace).lower())
        return next((one for one in found if one.namespace == namespace), found[0] if found else None)

    def host(self, host: str) -> Service | None:
        """The service of a host."""
        return next(iter(self._at(host.lower())), None)

    def entry(self, name: str, namespace: str) -> list[Service]:
        """The services that a ServiceEntry declares."""
        of_entry = ("ServiceEntry", namespace, name)
        return [one for found in self._by_host.values() for one in found if of_entry in one.origins]

    def destination(self, reference: Any, kind: str, namespace: str, path: Path, *, grants: bool) -> tuple[Destination, Condition | None]:
        """The destination that a route of a kind and namespace means by a reference at `path`, and what is wrong with it.

        One that is not there, or not for the route, is a destination that no proxy has. `grants` says whether references into
        other namespaces need a ReferenceGrant: routes of the mesh need none, as every client may call every service there.
        """
        place = reference.namespace or namespace
        told = f"{reference.kind} {place}/{reference.name}"
        target = Target(reference.group, reference.kind, place, reference.name)
        if grants and not self._grants.allow(kind, namespace, target):
            text = f"{told} is of another namespace, and no ReferenceGrant there lets a {kind} of {namespace} name it"
            return _nowhere(), bad(RESOLVED, "RefNotPermitted", text, path)
        if (reference.group, reference.kind) not in {*_SERVICES, _HOSTNAME}:
            text = f"a backend of kind {reference.kind} ({reference.group or 'core'}) is not served: name a Service, or a Hostname"
            return _nowhere(), bad(RESOLVED, "InvalidKind", text, path)
        if reference.port is None:
            return _nowhere(), bad(ACCEPTED, "UnsupportedValue", f"{told} is named without a port, which every backend here needs", path)
        by_host = (reference.group, reference.kind) == _HOSTNAME
        service = self.host(reference.name) if by_host else self.service(reference.name, place)
        if service is None:
            return _nowhere(), bad(RESOLVED, "BackendNotFound", f"there is no {told}", path)
        host = reference.name.lower() if by_host else hosts.expand(reference.name, place).lower()
        fault = None if service.port(reference.port) else bad(RESOLVED, "BackendNotFound", f"{told} has no port {reference.port}", path)
        return Destination(host=host, port=PortSelector(number=reference.port)), fault

    def _at(self, host: str) -> list[Service]:
        return self._by_host.get(self._aliases.get(host, host), [])


def _nowhere() -> Destination:
    return Destination(host=UNKNOWN_SERVICE)
