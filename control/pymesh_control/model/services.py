"""All services of the mesh: the cluster's and those of ServiceEntries, each with its instances and its further names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pymesh.api import Resource

from .allocation import allocated
from .distribution import Wishes
from .kubernetes import Cluster
from .membership import Memberships
from .membership import Workloads as Selectable
from .models import Models
from .networks import Places, placed
from .service import Alias, Instances, Service, accounts_of, decorated, from_entry, instances_of, merged
from .workload import Workload


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of services. What clients are told of them changes far less often than their instances: so they stand apart."""

    services: tuple[Service, ...]
    endpoints: Mapping[tuple[str, str], Instances]
    memberships: Memberships
    workloads: tuple[Workload, ...]
    aliases: Mapping[str, str]


def known(
    models: Models, cluster: Cluster, entries: Sequence[Resource], workloads: tuple[Workload, ...], places: Places, wishes: Wishes
) -> Known:
    """Everything that resources and registered workloads say of services."""
    aliases = _resolved(cluster.aliases)
    inputs = (cluster, workloads, places, wishes, *entries)

    def make(parts: Models) -> Known:
        return _known(parts, cluster, _declared(parts, cluster, entries, aliases, places, wishes), workloads, aliases)

    return models.put_together("services", inputs, make)


def _known(
    models: Models, cluster: Cluster, declared: Iterable[Service], workloads: tuple[Workload, ...], aliases: Mapping[Alias, str]
) -> Known:
    selectable = Selectable(workloads)
    found = allocated(declared)
    told, endpoints = [], {}
    for one in found:
        key = (one.namespace, one.host)
        instances = models.equal(("instances", key), _instances(models, cluster, one, selectable))
        endpoints[key] = instances
        told.append(models.equal(("service", key), _told(models, one, instances)))
    services = models.same("told", tuple(told))
    return Known(
        services,
        models.equal("endpoints", endpoints),
        Memberships(zip(services, (one.inline for one in found), strict=True)),
        workloads,
        models.equal("aliases", {alias.host: host for alias, host in aliases.items()}),
    )


def _instances(models: Models, cluster: Cluster, one: Service, selectable: Selectable) -> Instances:
    known = cluster.instances.get((one.namespace, one.host))
    if known is not None:
        return known
    selected = () if one.selector is None else selectable.selected(one.namespace, one.selector)
    return models.of(("chosen", one.namespace, one.host), (one, *selected), lambda: instances_of(one, selected))


def _told(models: Models, one: Service, instances: Instances) -> Service:
    """The service as clients are told of it."""
    key = ("told", one.namespace, one.host)
    return models.of(key, (one, instances), lambda: replace(one, inline=(), service_accounts=accounts_of(instances)))


def _declared(
    models: Models, cluster: Cluster, entries: Iterable[Resource], aliases: Mapping[Alias, str], places: Places, wishes: Wishes
) -> list[Service]:
    """The cluster's first: they are who they are whatever a ServiceEntry of the same host says."""
    of_cluster = {(one.namespace, one.host): one for one in cluster.services}
    found: dict[tuple[str, str], Service] = {}
    for entry in entries:
        for one in models.of(("entry", id(entry)), (entry, places, wishes), partial(_of_entry, entry, places, wishes)):
            key = (one.namespace, one.host)
            if key in of_cluster:
                of_cluster[key] = decorated(of_cluster[key], one)
            else:
                found[key] = merged(found[key], one) if key in found else one
    names: dict[str, tuple[Alias, ...]] = {}
    for alias, host in aliases.items():
        names[host] = (*names.get(host, ()), alias)
    return [replace(one, aliases=names[one.host]) if one.host in names else one for one in (*of_cluster.values(), *found.values())]


def _of_entry(entry: Resource, places: Places, wishes: Wishes) -> list[Service]:
    """A ServiceEntry's services, the instances that it lists in their networks."""
    made = from_entry(entry, wishes.get(entry.namespace, ""))
    return [replace(one, inline=tuple(placed(inner, places) for inner in one.inline)) for one in made]


def _resolved(aliases: Mapping[Alias, str]) -> dict[Alias, str]:
    """Each alias with the host at the end of its chain; those that lead back to themselves stand for nothing."""
    hosts = {alias.host: host for alias, host in aliases.items()}
    found: dict[Alias, str] = {}
    for alias, host in aliases.items():
        passed = {alias.host}
        while host in hosts and host not in passed:
            passed.add(host)
            host = hosts[host]
        if host not in passed:
            found[alias] = host
    return found
