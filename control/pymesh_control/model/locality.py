"""Which endpoints a client prefers by where it runs: Istio's locality failover and distribution, as decisions over names and labels."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .service import Endpoint
from .whereabouts import CLUSTER_LABEL, HOSTNAME_LABEL, LEVELS, NETWORK_LABEL

_DEPTH = len(LEVELS)
_STEPS = _DEPTH + 2
"""Distances that two localities can have: shared levels, and a region that is not the one to fail over to."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a proxy runs, and those of its labels that a failoverPriority names."""

    locality: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints of one locality and priority. `weight` is that of the locality among those of its priority."""

    locality: str
    priority: int
    weight: int
    endpoints: tuple[Endpoint, ...]


def plain(endpoints: Iterable[Endpoint]) -> list[Group]:
    """All endpoints alike, by locality in sorted order."""
    places = _by_place((endpoint, 0) for endpoint in endpoints)
    return [Group(place, 0, _weight(found), tuple(found)) for (_, place), found in sorted(places.items())]


def arranged(endpoints: Iterable[Endpoint], client: Client, setting: Any, *, failover: bool) -> list[Group]:
    """Endpoints as a LocalityLoadBalancerSetting has them for one client; `failover` says that sick endpoints are found out.

    Without `failover` only a distribution has an effect: nobody would ever leave the first priority.
    """
    if setting is not None and setting.distribute:
        return _distributed(endpoints, client, setting.distribute)
    if not failover:
        return plain(endpoints)
    wanted = list(setting.failover_priority) if setting is not None else []
    failovers = {one.from_: one.to for one in setting.failover} if setting is not None else {}
    return _ranked([(endpoint, _rank(endpoint, client, wanted, failovers)) for endpoint in endpoints])


def by_region(endpoints: Iterable[Endpoint], client: Client, setting: Any) -> list[Group]:
    """Endpoints as a ZoneAwareLoadBalancerSetting has them: those of the client's region first, among whose zones its proxy shares."""
    labels = list(setting.failover_priority)
    preferred = next((one.to for one in setting.failover if one.from_ == _level(client.locality, 0)), None)

    def rank(endpoint: Endpoint) -> tuple[int, int]:
        region = _level(endpoint.workload.locality, 0)
        distance = 0 if region == _level(client.locality, 0) else 1 if region == preferred else 2
        return len(labels) - _matched(endpoint, client, labels), distance

    return _ranked([(endpoint, rank(endpoint)) for endpoint in endpoints])


def _ranked(ranked: Sequence[tuple[Endpoint, Any]]) -> list[Group]:
    """By rank, the lowest of which is the first priority, and by locality."""
    order = {rank: priority for priority, rank in enumerate(sorted({rank for _, rank in ranked}))}
    places = _by_place((endpoint, order[rank]) for endpoint, rank in ranked)
    return [Group(place, priority, _weight(found), tuple(found)) for (priority, place), found in sorted(places.items())]


def _by_place(ranked: Iterable[tuple[Endpoint, int]]) -> dict[tuple[int, str], list[Endpoint]]:
    places: dict[tuple[int, str], list[Endpoint]] = {}
    for endpoint, priority in ranked:
        places.setdefault((priority, endpoint.workload.locality), []).append(endpoint)
    return places


def _weight(endpoints: Iterable[Endpoint]) -> int:
    return sum(endpoint.workload.weight for endpoint in endpoints)


def _rank(endpoint: Endpoint, client: Client, labels: Sequence[str], failovers: Mapping[str, str]) -> int:
    if not labels:
        return _distance(client.locality, endpoint.workload.locality, failovers)
    unmatched = len(labels) - _matched(endpoint, client, labels)
    if not failovers:
        return unmatched
    return unmatched * _STEPS + _distance(client.locality, endpoint.workload.locality, failovers)


def _matched(endpoint: Endpoint, client: Client, labels: Sequence[str]) -> int:
    """How many of the labels agree before the first that does not."""
    for count, label in enumerate(labels):
        name, stated, value = label.partition("=")
        wanted = value if stated else _label(client.locality, client.labels, name)
        found = _label(endpoint.workload.locality, _labels(endpoint), name)
        if found != wanted:
            return count
    return len(labels)


def _labels(endpoint: Endpoint) -> Mapping[str, str]:
    workload = endpoint.workload
    return {NETWORK_LABEL: workload.network, CLUSTER_LABEL: workload.cluster_id, HOSTNAME_LABEL: workload.node, **workload.labels}


def _label(locality: str, labels: Mapping[str, str], name: str) -> str:
    """A label, or what the locality says of it."""
    return labels.get(name) or (_level(locality, LEVELS.index(name)) if name in LEVELS else "")


def _level(locality: str, index: int) -> str:
    return (locality.split("/") + [""] * _DEPTH)[index]


def _distance(client: str, place: str, failovers: Mapping[str, str]) -> int:
    """0 for the same sub-zone, 1 for the zone, 2 for the region, 3 for elsewhere; 4 where a failover names another region."""
    shared = 0
    while shared < _DEPTH and _level(client, shared) == _level(place, shared):
        shared += 1
    if shared:
        return _DEPTH - shared
    preferred = failovers.get(_level(client, 0))
    return _DEPTH if preferred in (None, _level(place, 0)) else _DEPTH + 1


def _distributed(endpoints: Iterable[Endpoint], client: Client, shares: Sequence[Any]) -> list[Group]:
    """The shares of the client's locality; localities without one get nothing. Without a rule for this client nothing changes."""
    rule = next((share for share in shares if _covers(share.from_ or "", client.locality)), None)
    groups = plain(endpoints)
    if rule is None:
        return groups
    found: list[Group] = []
    for pattern, percent in rule.to.items():
        members = [group for group in groups if _covers(pattern, group.locality)]
        total = sum(group.weight for group in members)
        found += [Group(one.locality, 0, math.ceil(percent * one.weight / total), one.endpoints) for one in members]
    return sorted(found, key=lambda group: group.locality)


def _covers(pattern: str, locality: str) -> bool:
    """Whether a locality is within `region/zone/*`, `region/*`, `*` or is the pattern; levels left out of a pattern are any."""
    for index, wanted in enumerate(pattern.split("/")):
        if wanted == "*":
            return True
        if wanted != _level(locality, index):
            return False
    return True
