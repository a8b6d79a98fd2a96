"""The mesh at one moment: everything the generators read, immutable, replaced whole by the next."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pymesh.api import Problem, Resource, proxytext
from pymesh.api.models.meshconfig import MeshConfig

from . import (
    allocation,
    authentication,
    authorization,
    delegation,
    destination,
    discovery,
    envoyfilter,
    gateway,
    kubernetes,
    membership,
    mesh,
    service,
    sidecar,
    support,
    virtual,
)
from .credential import NO_CREDENTIALS, Credentials
from .settings import Settings, from_config
from .view import ProxyView
from .workload import Workload

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Indexes over all accepted resources, and the place where results made from them are kept."""

    version: int
    mesh: mesh.Mesh
    services: tuple[service.Service, ...]
    memberships: membership.Memberships
    rules: destination.Rules
    virtual_services: tuple[virtual.VirtualService, ...]
    gateways: tuple[gateway.Gateway, ...]
    authentication: authentication.Authentication
    authorization: authorization.Authorization
    sidecars: sidecar.Sidecars
    envoy_filters: envoyfilter.EnvoyFilters
    workloads: tuple[Workload, ...]
    aliases: Mapping[str, str]
    """Hosts that are only other names, with the hosts of the services that they stand for."""
    credentials: Credentials
    pod_settings: Mapping[tuple[str, str], Settings]
    """Of the pods that are annotated with a ProxyConfig, by namespace and address."""
    label_keys: frozenset[str]
    """The labels of clients that any rule asks about; proxies that agree in these see the same mesh."""
    localities_count: bool
    """Whether any rule makes it a difference where a client runs."""
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def cached(self, key: Any, make: Callable[[], T]) -> T:
        """The value made for `key` from this snapshot, made once. The key must hold all that `make` reads besides the snapshot.

        None is not kept: clients may ask for any name, and what is not there must not fill memory.
        """
        found: T | None = self._cache.get(key)
        if found is None:
            found = make()
            if found is not None:
                self._cache[key] = found
        return found

    def visible(self, namespace: str, limits: sidecar.Sidecar | None = None) -> Mapping[str, service.Service]:
        """The services that a namespace sees, by host: its own before those of others, older before newer.

        `limits` leaves only what it imports, and the destinations of the rules that it imports.
        """
        key = ("visible", namespace, limits and limits.key)
        return self.cached(key, lambda: _visible(self._imported(namespace, limits), namespace))

    def _imported(self, namespace: str, limits: sidecar.Sidecar | None) -> Iterable[service.Service]:
        if limits is None or limits.egress is None:
            return self.services
        wanted = {host for rule in self.mesh_rules(namespace, limits).ordered for host in rule.destinations}
        return [one for one in self.services if limits.admits(one.namespace, one.host) or one.host in wanted]

    def service(self, host: str, namespace: str) -> service.Service | None:
        return self.visible(namespace).get(self.aliases.get(host, host))

    def workload(self, namespace: str, address: str) -> Workload | None:
        """The workload at an address."""
        return self.cached(("workloads",), lambda: {(one.namespace, one.ip): one for one in self.workloads}).get((namespace, address))

    def settings_of(self, view: ProxyView) -> Settings:
        """What a proxy's settings come to: its own, those of its pod, and the mesh's."""
        return view.settings.over(self.pod_settings.get((view.namespace, view.ip))).over(self.mesh.settings)

    def mesh_rules(self, namespace: str, limits: sidecar.Sidecar | None = None) -> virtual.MeshRules:
        """The VirtualServices that sidecars of a namespace obey, of those that `limits` imports."""
        key = ("mesh rules", namespace, limits and limits.key)
        return self.cached(key, lambda: virtual.MeshRules(namespace, _admitted(self.virtual_services, limits)))


def build(
    resources: Sequence[Resource], workloads: Sequence[Workload], version: int, credentials: Credentials = NO_CREDENTIALS
) -> tuple[Snapshot, list[Problem]]:
    """The Snapshot of all resources that can be honoured, and why the others cannot.

    Order is age: of two resources that contend, the one that comes first in `resources` wins.
    """
    judged = [(resource, support.refusals(resource)) for resource in resources]
    accepted = [resource for resource, refusals in judged if not refusals]
    refused = [problem for _, refusals in judged for problem in refusals]
    spec = next((resource.spec for resource in accepted if resource.kind == "ConfigMap"), MeshConfig())
    looked_at = discovery.looked_at(spec.discovery_selectors, (one for one in accepted if one.kind == "Namespace"))
    chosen = mesh.from_config(spec)
    by_kind: dict[str, list[Resource]] = {}
    for resource in accepted:
        if looked_at(resource.namespace):
            by_kind.setdefault(resource.kind, []).append(chosen.exports.given(resource))
    registered = [one for one in workloads if looked_at(one.namespace)]
    return _assemble(chosen, by_kind, registered, version, credentials), refused


def _assemble(
    chosen: mesh.Mesh, by_kind: Mapping[str, list[Resource]], registered: Sequence[Workload], version: int, credentials: Credentials
) -> Snapshot:
    entries = by_kind.get("WorkloadEntry", ())
    outside = (*(service.from_workload_entry(one.spec, one.name, one.namespace) for one in entries), *registered)
    cluster = kubernetes.read(by_kind, outside, chosen.root_namespace, chosen.exports.services)
    workloads = (*outside, *cluster.workloads)
    rules = [destination.from_resource(resource) for resource in by_kind.get("DestinationRule", ())]
    roots, _ = delegation.resolved(by_kind.get("VirtualService", ()))
    routes = tuple(virtual.from_resource(resource) for resource in roots)
    peers = [authentication.from_resource(resource) for resource in by_kind.get("PeerAuthentication", ())]
    permits = map(authorization.from_resource, by_kind.get("AuthorizationPolicy", ()))
    aliases = _resolved(cluster.aliases)
    services = allocation.allocated(_services(cluster.services, by_kind.get("ServiceEntry", ()), workloads, aliases))
    return Snapshot(
        version=version,
        mesh=chosen,
        services=services,
        memberships=membership.Memberships(services),
        rules=destination.Rules(rules, chosen.root_namespace),
        virtual_services=routes,
        gateways=tuple(gateway.from_resource(resource) for resource in by_kind.get("Gateway", ())),
        authentication=authentication.Authentication(peers, chosen.root_namespace),
        authorization=authorization.Authorization(permits, chosen.root_namespace),
        sidecars=sidecar.Sidecars(map(sidecar.from_resource, by_kind.get("Sidecar", ())), chosen.root_namespace),
        envoy_filters=envoyfilter.EnvoyFilters(map(envoyfilter.from_resource, by_kind.get("EnvoyFilter", ())), chosen.root_namespace),
        workloads=workloads,
        aliases={alias.host: host for alias, host in aliases.items()},
        credentials=credentials,
        pod_settings=_pod_settings(by_kind.get("Pod", ())),
        label_keys=_label_keys(rules, routes) | _failover_keys(rules, services, chosen),
        localities_count=_localities_count(rules, services, chosen),
    )


def _pod_settings(pods: Iterable[Resource]) -> dict[tuple[str, str], Settings]:
    read = ((pod, proxytext.read(pod.annotations[proxytext.ANNOTATION])[0]) for pod in pods if proxytext.ANNOTATION in pod.annotations)
    return {
        (pod.namespace, pod.spec.status.pod_ip): from_config(settings)
        for pod, settings in read
        if settings is not None and pod.spec.status.pod_ip
    }  # fmt: skip


def _services(
    of_cluster: Iterable[service.Service], entries: Iterable[Resource], workloads: Sequence[Workload], aliases: Mapping[service.Alias, str]
) -> tuple[service.Service, ...]:
    """Those of the cluster first, for they are who they are whatever a ServiceEntry of the same host says."""
    known = membership.Workloads(workloads)
    cluster = {(one.namespace, one.host): one for one in of_cluster}
    found: dict[tuple[str, str], service.Service] = {}
    for entry in entries:
        for one in service.from_entry(entry):
            key = (one.namespace, one.host)
            if key in cluster:
                cluster[key] = service.decorated(cluster[key], one)
            else:
                found[key] = service.merged(found[key], one) if key in found else one
    complete = (
        service.with_endpoints(one, () if one.selector is None else known.selected(one.namespace, one.selector)) for one in found.values()
    )
    names: dict[str, tuple[service.Alias, ...]] = {}
    for alias, host in aliases.items():
        names[host] = (*names.get(host, ()), alias)
    return tuple(replace(one, aliases=names[one.host]) if one.host in names else one for one in (*cluster.values(), *complete))


def _resolved(aliases: Mapping[service.Alias, str]) -> dict[service.Alias, str]:
    """Each alias with the host at the end of its chain; those that lead back to themselves stand for nothing."""
    hosts = {alias.host: host for alias, host in aliases.items()}
    found: dict[service.Alias, str] = {}
    for alias, host in aliases.items():
        passed = {alias.host}
        while host in hosts and host not in passed:
            passed.add(host)
            host = hosts[host]
        if host not in passed:
            found[alias] = host
    return found


def _admitted(rules: Sequence[virtual.VirtualService], limits: sidecar.Sidecar | None) -> Sequence[virtual.VirtualService]:
    if limits is None:
        return rules
    return [rule for rule in rules if any(limits.admits(rule.namespace, host) for host in rule.hosts)]


def _visible(services: Iterable[service.Service], namespace: str) -> Mapping[str, service.Service]:
    found: dict[str, service.Service] = {}
    for one in services:
        if not one.visibility.reaches(namespace):
            continue
        held = found.get(one.host)
        if held is None or (one.namespace == namespace and held.namespace != namespace):
            found[one.host] = one
    return found


def _label_keys(rules: Iterable[destination.Rule], routes: Iterable[virtual.VirtualService]) -> frozenset[str]:
    keys = {key for rule in rules for key in rule.selector or ()}
    for route in routes:
        for kind in ("http", "tls", "tcp"):
            keys |= {key for _, match in support.walk(route.spec, f"{kind}[].match[]") for key in match.source_labels}
    return frozenset(keys)


def _policies(rules: Iterable[destination.Rule]) -> Iterator[Any]:
    """Every policy of every rule, at whatever level."""
    for rule in rules:
        for whole in (rule.policy, *(subset.policy for subset in rule.subsets.values())):
            if whole is not None:
                yield whole
                yield from whole.port_level_settings


def _localities_count(rules: Iterable[destination.Rule], services: Iterable[service.Service], chosen: mesh.Mesh) -> bool:
    wanted = chosen.outlier_detection is not None or any(_places(policy, chosen) for policy in _policies(rules))
    return wanted or any(one.locality for one in services)


def _places(policy: Any, settings: mesh.Mesh) -> bool:
    balancer = policy.load_balancer
    own = balancer.locality_lb_setting if balancer else None
    distributes = bool((own or settings.locality) and (own or settings.locality).distribute)
    return policy.outlier_detection is not None or distributes


def _failover_keys(rules: Iterable[destination.Rule], services: Iterable[service.Service], settings: mesh.Mesh) -> frozenset[str]:
    """The labels by which endpoints are preferred, but for those that stand in every locality."""
    wanted = [policy.load_balancer.locality_lb_setting for policy in _policies(rules) if policy.load_balancer]
    given = [setting for setting in (*wanted, *(one.locality for one in services), settings.locality) if setting is not None]
    return frozenset(label.partition("=")[0] for setting in given for label in setting.failover_priority)
