"""Which workloads a service selects and which services select a workload, found by label instead of by asking each."""

from collections.abc import Iterable, Mapping, Sequence

from .service import Service
from .workload import Workload, selects

_Label = tuple[str, str, str]
"""(namespace, key, value)"""


class Workloads:
    """Workloads by namespace and label."""

    def __init__(self, workloads: Iterable[Workload]) -> None:
        self._by_namespace: dict[str, list[Workload]] = {}
        self._by_label: dict[_Label, list[Workload]] = {}
        for workload in workloads:
            self._by_namespace.setdefault(workload.namespace, []).append(workload)
            for key, value in workload.labels.items():
                self._by_label.setdefault((workload.namespace, key, value), []).append(workload)

    def selected(self, namespace: str, selector: Mapping[str, str]) -> Sequence[Workload]:
        """The workloads of a namespace that carry every label of a selector, oldest first."""
        if not selector:
            return self._by_namespace.get(namespace, ())
        found = [self._by_label.get((namespace, key, value), []) for key, value in selector.items()]
        return [workload for workload in min(found, key=len) if selects(selector, workload.labels)]


class Memberships:
    """Services of the mesh by what makes a workload one of their instances: a label of the selector, or a listed address."""

    def __init__(self, services: Iterable[tuple[Service, Sequence[Workload]]]) -> None:
        """Of each service also the instances that it lists itself."""
        self._order: dict[int, int] = {}
        self._by_label: dict[_Label, list[Service]] = {}
        self._by_address: dict[tuple[str, str], list[tuple[Service, Sequence[Workload]]]] = {}
        for order, (service, listed) in enumerate(services):
            if service.external:
                continue
            self._order[id(service)] = order
            for key, value in sorted((service.selector or {}).items())[:1]:
                self._by_label.setdefault((service.namespace, key, value), []).append(service)
            for address in dict.fromkeys(workload.ip for workload in listed):
                self._by_address.setdefault((service.namespace, address), []).append((service, listed))

    def of(self, namespace: str, labels: Mapping[str, str], address: str) -> list[Service]:
        """The services that a workload is an instance of, oldest first."""
        found = [
            one
            for key, value in labels.items()
            for one in self._by_label.get((namespace, key, value), ())
            if selects(one.selector or {}, labels)
        ]
        found += (
            one
            for one, listed in self._by_address.get((namespace, address), ())
            if any(workload.ip == address and selects(workload.labels, labels) for workload in listed)
        )
        return sorted({id(one): one for one in found}.values(), key=lambda one: self._order[id(one)])
