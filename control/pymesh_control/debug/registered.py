"""Registered workloads as the WorkloadEntries that Istio writes for them."""

import socket
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from ..model.groups import Group, member
from ..model.snapshot import Snapshot
from ..model.workload import Workload
from ..registration.standing import Standing

KIND = "WorkloadEntry"
_HEALTHY = "Healthy"
_GROUP = "istio.io/autoRegistrationGroup"
_CONTROLLER = "istio.io/workloadController"
_CONNECTED = "istio.io/connectedAt"
_DISCONNECTED = "istio.io/disconnectedAt"
_PROBED = "proxy.istio.io/health-checks-enabled"


def entries(snapshot: Snapshot, standings: Iterable[Standing]) -> Iterator[dict[str, Any]]:
    """Those that take part, in the form of `configuration.described`, with the conditions that Istio sets."""
    for one in standings:
        workload = member(one.workload, snapshot.groups)
        if workload is not None:
            yield _entry(one, workload, snapshot.groups.get((workload.namespace, workload.group)))


def statuses(snapshot: Snapshot, standings: Iterable[Standing]) -> Iterator[dict[str, Any]]:
    """The same in the form of `status.statusz`."""
    for one in entries(snapshot, standings):
        names = {"kind": KIND, "namespace": one["metadata"]["namespace"], "name": one["metadata"]["name"], "file": one["file"]}
        yield {
            **names, "accepted": True, "programmed": None, "shadowed_by": [], "proxies": 0, "acked": 0, "refused_by": [], "problems": [],
        }  # fmt: skip


def _entry(standing: Standing, workload: Workload, group: Group | None) -> dict[str, Any]:
    return {
        "kind": KIND,
        "apiVersion": "networking.istio.io/v1",
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": dict(workload.labels),
            "annotations": _annotations(standing, workload, group),
        },
        "spec": _spec(workload),
        "status": {"conditions": _conditions(standing)},
        "file": f"registered by {workload.node_id}",
    }


def _annotations(standing: Standing, workload: Workload, group: Group | None) -> dict[str, str]:
    found = {_GROUP: workload.group, **group.annotations} if group else {}
    if standing.probed:
        found[_PROBED] = "true"
    if standing.since is not None:
        found[_CONTROLLER] = socket.gethostname()
        found[_CONNECTED if standing.connected else _DISCONNECTED] = _time(standing.since)
    return found


def _spec(workload: Workload) -> dict[str, Any]:
    found = {
        "address": workload.ip,
        "ports": dict(workload.ports),
        "labels": dict(workload.labels),
        "network": workload.network,
        "locality": workload.locality,
        "weight": workload.weight,
        "serviceAccount": workload.service_account,
    }
    return {key: value for key, value in found.items() if value}


def _conditions(standing: Standing) -> list[dict[str, str]]:
    """Istio's one, as soon as the proxy has said how its workload is."""
    feeling = standing.feeling
    if feeling is None:
        return []
    when = _time(feeling.since)
    told = {"type": _HEALTHY, "status": "False" if feeling.reason else "True", "lastProbeTime": when, "lastTransitionTime": when}
    return [{**told, "message": feeling.reason} if feeling.reason else told]


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
