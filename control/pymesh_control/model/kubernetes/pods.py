"""Pods as workloads."""

import re
from collections.abc import Iterable, Mapping

from pymesh.api import Resource

from ..networks import Places
from ..workload import TLS_MODE_LABEL, WORKLOAD_NAME_LABEL, Health, Workload
from .topology import Topology

_ENDED = frozenset({"Succeeded", "Failed"})
_DEFAULT_ACCOUNT = "default"
_TEMPLATES = "inject.istio.io/templates"
_AGENT = "grpc-agent"
"""Istio's template for gRPC applications without a proxy."""
_ORDINAL = re.compile(r"-\d+$")


class Pods:
    """The pods that have an address and have not ended, by name and by address."""

    def __init__(self, pods: Iterable[Resource], topology: Topology, places: Places) -> None:
        self.workloads = tuple(found for pod in pods if (found := workload_of(pod, topology, places)))
        self._by_address: dict[str, Workload] = {}
        self._by_name: dict[tuple[str, str], Workload] = {}
        for workload in self.workloads:
            self._by_address.setdefault(workload.ip, workload)
            self._by_name[workload.namespace, workload.pod] = workload

    def find(self, namespace: str, name: str, address: str, node: str) -> Workload | None:
        """The pod behind an endpoint: by the reference to it if there is one, else the one with its address that is not on another node."""
        if name:
            return self._by_name.get((namespace, name))
        found = self._by_address.get(address)
        return found if found is None or not node or found.node in ("", node) else None


def workload_of(pod: Resource, topology: Topology, places: Places) -> Workload | None:
    """The workload that a pod is; None for one without an address, and for one that has ended or is no use any more."""
    spec, status = pod.spec.spec, pod.spec.status
    health = _health(pod)
    if not status.pod_ip or status.phase in _ENDED or health is None:
        return None
    return Workload(
        name=pod.labels.get(WORKLOAD_NAME_LABEL) or _owner(pod.name, pod.labels),
        namespace=pod.namespace,
        ip=status.pod_ip,
        labels=pod.labels,
        service_account=spec.service_account_name or _DEFAULT_ACCOUNT,
        container_ports={
            port.name: port.container_port
            for container in (*spec.containers, *spec.init_containers)
            for port in container.ports
            if port.name and port.protocol in (None, "TCP")
        },
        locality=topology.of(spec.node_name or "", labels=pod.labels),
        network=places.of(status.pod_ip, pod.labels),
        tls_mode=pod.labels.get(TLS_MODE_LABEL, "disabled"),
        health=health,
        pod=pod.name,
        node=spec.node_name or "",
        proxyless=_AGENT in [name.strip() for name in pod.annotations.get(_TEMPLATES, "").split(",")],
        host_name=f"{spec.hostname or pod.name}.{spec.subdomain}" if spec.subdomain else "",
    )


def _health(pod: Resource) -> Health | None:
    """A manifest that no kubelet has seen has no conditions, and counts as ready."""
    ready = all(condition.status == "True" for condition in pod.spec.status.conditions if condition.type == "Ready")
    if pod.is_deleting:
        return Health.DRAINING if ready else None
    return Health.HEALTHY if ready else Health.UNHEALTHY


def _owner(name: str, labels: Mapping[str, str]) -> str:
    """The Deployment or StatefulSet that made a pod, as its labels tell, else the pod itself."""
    template = labels.get("pod-template-hash")
    if template:
        before, found, _ = name.rpartition(f"-{template}-")
        return before if found else name
    return _ORDINAL.sub("", name) if "statefulset.kubernetes.io/pod-name" in labels else name
