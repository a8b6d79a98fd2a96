"""The cluster of a proxy's like, which tells it how callers are spread over zones (Istio's self discovery).

A proxy that was started with ISTIO_META_ENABLE_SELF_DISCOVERY has it in its bootstrap and asks for its endpoints: of the instances of
the first service that it serves, those of its own workload and revision, in its own region.
"""

from collections.abc import Iterable
from typing import Any

from pymesh.xds import names, proto

from ..built import Built, pack
from ..model import locality
from ..model.memory import Same
from ..model.service import Endpoint
from ..model.view import ProxyView
from ..model.workload import Workload
from . import endpoints, inbound
from .scope import Scope, place_of

_NAME_LABEL = "service.istio.io/workload-name"
_REVISIONS = ("pod-template-hash", "rollouts-pod-template-hash")
"""Labels of the pods of one ReplicaSet: callers are spread evenly within one, not over several."""


def assignment(scope: Scope, view: ProxyView) -> Built:
    """The ClusterLoadAssignment; empty for a proxy that serves nothing."""
    service, port = next(((one.service, one.service_port) for one in inbound.served(scope.snapshot, view) if one.service), (None, 0))
    instances = scope.snapshot.instances(service) if service else {}
    key = ("local cluster", Same(view), Same(instances))
    return scope.snapshot.cached(key, lambda: pack(_assignment(scope, view, instances.get(port, ()))))


def _assignment(scope: Scope, view: ProxyView, instances: Iterable[Endpoint]) -> Any:
    own = _name(scope, view)
    region = _region(place_of(scope.snapshot, view))
    chosen = [
        one
        for one in instances
        if _name_of(one.workload) == own and _region(one.workload.locality) == region and _same_revision(view, one.workload)
    ]
    assigned = proto.endpoint.ClusterLoadAssignment(cluster_name=names.LOCAL_CLUSTER)
    assigned.endpoints.extend(endpoints.grouped(group) for group in locality.plain(chosen))
    return assigned


def _name(scope: Scope, view: ProxyView) -> str:
    known = scope.snapshot.workload(view.namespace, view.ip)
    return _name_of(known) if known else str(view.metadata.get("WORKLOAD_NAME") or view.name)


def _name_of(workload: Workload) -> str:
    """What its instances have in common: a label's word, the WorkloadGroup, or the name."""
    return workload.labels.get(_NAME_LABEL) or workload.group or workload.name


def _region(place: str) -> str:
    return place.partition("/")[0]


def _same_revision(view: ProxyView, workload: Workload) -> bool:
    return all(view.labels.get(label) == workload.labels.get(label) for label in _REVISIONS)
