"""What rules look at: the accepted resources and the snapshot that was made of them, with the indexes that several rules need."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from pymesh.api import Resource, hosts

from ..model import support
from ..model.destination import Rule, from_resource
from ..model.gateway import Gateway
from ..model.gateway import from_resource as gateway_of
from ..model.service import Service
from ..model.snapshot import Snapshot
from ..model.support import Path
from ..model.virtual import VirtualService
from ..model.virtual import from_resource as virtual_of
from ..model.workload import Workload, selects

__all__ = ["Path", "Subject"]


class Subject:
    """One mesh under analysis. Every index is made at most once, in time proportional to the mesh."""

    def __init__(self, resources: Iterable[Resource], snapshot: Snapshot) -> None:
        self.resources = tuple(resources)
        self.snapshot = snapshot
        self._covered: dict[tuple[str, str], bool] = {}

    def of(self, *kinds: str) -> Iterator[Resource]:
        """The resources of some kinds, oldest first within each."""
        for kind in kinds:
            yield from self._by_kind.get(kind, ())

    def each(self, kind: str, *fields: str) -> Iterator[tuple[Resource, Path, Any]]:
        """Every value of some dotted fields (`support.walk`) of every resource of a kind."""
        for resource in self.of(kind):
            for field in fields:
                for path, value in support.walk(resource.spec, field):
                    yield resource, tuple("from" if step == "from_" else step for step in path), value

    def knows(self, pattern: str, namespace: str) -> bool:
        """Whether a namespace sees a service with this host, or one that a wildcard covers."""
        if not hosts.is_wildcard(pattern):
            return self.snapshot.service(pattern, namespace) is not None
        key = (pattern, namespace)
        if key not in self._covered:
            self._covered[key] = any(hosts.subset_of(host, pattern) for host in self.snapshot.visible(namespace))
        return self._covered[key]

    def candidates(self, host: str) -> str:
        """A hint for a host that is not there: the services whose name begins alike, or nothing."""
        others = [one for one in self._by_label.get(host.partition(".")[0], ()) if one != host]
        return f" (there is {', '.join(others[:3])})" if others else ""

    @cached_property
    def virtual_services(self) -> list[tuple[Resource, VirtualService]]:
        """Those with hosts, as they stand in the files: what they delegate is not taken in."""
        return [(one, virtual_of(one)) for one in self.of("VirtualService") if one.spec.hosts]

    @cached_property
    def rules(self) -> list[tuple[Resource, Rule]]:
        return [(one, from_resource(one)) for one in self.of("DestinationRule")]

    @cached_property
    def gateways(self) -> dict[str, tuple[Resource, Gateway]]:
        """By `<namespace>/<name>`."""
        return {f"{one.namespace}/{one.name}": (one, gateway_of(one)) for one in self.of("Gateway")}

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """Those of which anything is known; a namespace need not be declared."""
        found = {self.snapshot.mesh.root_namespace, *(one.namespace for one in self.resources)}
        found |= {one.name for one in self.of("Namespace")}
        found |= {one.namespace for one in self.snapshot.services}
        return frozenset(found | {one.namespace for one in self.snapshot.workloads})

    @cached_property
    def _by_kind(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for one in self.resources:
            found.setdefault(one.kind, []).append(one)
        return found

    @cached_property
    def _by_label(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self.snapshot.services:
            found.setdefault(one.host.partition(".")[0], []).append(one.host)
        return found

    def has_pods(self, namespace: str | None) -> bool:
        """Whether pods are known of a namespace, or of any: then what no pod matches is not merely unknown."""
        return bool(self._pods) if namespace is None else namespace in self._pods

    def running(self, selector: Mapping[str, str], namespace: str | None) -> list[Workload]:
        """The workloads of a namespace, or of all, that carry every label of a selector, which is not empty."""
        found = [self._labelled.get(item, []) for item in selector.items()]
        return [one for one in min(found, key=len) if namespace in (None, one.namespace) and selects(selector, one.labels)]

    @cached_property
    def _pods(self) -> frozenset[str]:
        """The namespaces of which pods are known."""
        return frozenset(one.namespace for one in self.snapshot.workloads if one.pod)

    @cached_property
    def _labelled(self) -> dict[tuple[str, str], list[Workload]]:
        found: dict[tuple[str, str], list[Workload]] = {}
        for one in self.snapshot.workloads:
            for item in one.labels.items():
                found.setdefault(item, []).append(one)
        return found

    def instances(self, service: Service) -> list[dict[str, str]]:
        """The labels of each instance at each port."""
        return [dict(endpoint.workload.labels) for some in self.snapshot.instances(service).values() for endpoint in some]
