"""From resources to a snapshot. What the resources of the last one became is used again as long as they are the same objects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pymesh.api import Problem, Resource, configmap, proxytext
from pymesh.api.models.meshconfig import MeshConfig

from . import (
    authentication,
    authorization,
    delegation,
    destination,
    discovery,
    distribution,
    envoyfilter,
    gateway,
    kubernetes,
    mesh,
    networks,
    service,
    services,
    sidecar,
    support,
    virtual,
)
from .credential import NO_CREDENTIALS, Credentials
from .gatewayapi import translation
from .groups import Groups, member
from .groups import from_resource as from_group
from .models import Models
from .settings import Settings, from_config
from .snapshot import Snapshot
from .whereabouts import HOSTNAME_LABEL, NETWORK_LABEL
from .workload import Workload

ByKind = Mapping[str, Sequence[Resource]]


def build(
    resources: Sequence[Resource],
    workloads: Sequence[Workload],
    version: int,
    credentials: Credentials = NO_CREDENTIALS,
    *,
    names: Mapping[str, tuple[str, ...]] = {},
    former: Snapshot | None = None,
    trust_domain: str | None = None,
) -> tuple[Snapshot, list[Problem]]:
    """The Snapshot of all resources that can be honoured, and why the others cannot.

    Order is age: of two resources that contend, the one that comes first in `resources` wins. `names` are the addresses of
    gateways' names. `former` is the snapshot that this one replaces. `trust_domain` stands over the mesh configuration's.
    """
    models = Models(former.models if former else None)
    judged = [(resource, models.one(support.refusals, resource)) for resource in resources]
    accepted = [resource for resource, refusals in judged if not refusals]
    refused = [problem for _, refusals in judged for problem in refusals]
    spec = next((resource.spec for resource in accepted if resource.kind == "ConfigMap"), MeshConfig())
    looked_at = discovery.looked_at(spec.discovery_selectors, (one for one in accepted if one.kind == "Namespace"))
    chosen = models.equal("mesh", _mesh(spec, trust_domain))
    by_kind: dict[str, list[Resource]] = {}
    for resource in accepted:
        if looked_at(resource.namespace):
            by_kind.setdefault(resource.kind, []).append(_exported(models, chosen, resource))
    registered = [one for one in workloads if looked_at(one.namespace)]
    facts = _facts(models, chosen, by_kind, registered, models.equal("credentials", credentials), names)
    models.settle()
    return Snapshot(version, facts, models, former), refused


def _mesh(spec: MeshConfig, trust_domain: str | None) -> mesh.Mesh:
    chosen = mesh.from_config(spec)
    return chosen if trust_domain is None else replace(chosen, trust_domain=trust_domain)


def _exported(models: Models, chosen: mesh.Mesh, resource: Resource) -> Resource:
    """The resource with the exportTo that the mesh gives those without."""
    return models.of(("exported", id(resource)), (resource, chosen), lambda: chosen.exports.given(resource))


def _facts(
    models: Models,
    chosen: mesh.Mesh,
    by_kind: ByKind,
    registered: Sequence[Workload],
    credentials: Credentials,
    names: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    declared = next((one.spec for one in by_kind.get(configmap.NETWORKS, ())), None)
    places = models.equal("places", networks.places_of(declared, _own_network(by_kind, chosen.root_namespace)))
    groups = _groups(models, by_kind.get("WorkloadGroup", ()))
    members = filter(None, (_member(models, one, groups) for one in registered))
    known = _services(models, chosen, places, by_kind, tuple(members))
    between = networks.gateways_of(declared, places, known.services, known.endpoints)
    gateway_api = models.of(
        "gateway api",
        [known.services, known.aliases, credentials, *translation.inputs(by_kind)],
        lambda: translation.translate(by_kind, known.services, known.aliases, credentials),
    )
    rules = models.each(destination.from_resource, by_kind.get("DestinationRule", ()))
    routes = _routes(models, by_kind.get("VirtualService", ()))
    pods = by_kind.get("Pod", ())
    return {
        **_by_namespace(models, chosen, by_kind),
        "mesh": chosen,
        "services": known.services,
        "endpoints": known.endpoints,
        "memberships": known.memberships,
        "rules": models.of("rules", (chosen, *rules), lambda: destination.Rules(rules, chosen.root_namespace)),
        "virtual_services": models.same("virtual services", (*routes, *gateway_api.virtual_services)),
        "gateways": models.same("gateways", (*models.each(gateway.from_resource, by_kind.get("Gateway", ())), *gateway_api.gateways)),
        "backend_tls": models.equal("backend tls", gateway_api.backend_tls),
        "shared_credentials": models.equal("shared credentials", gateway_api.credentials),
        "gateway_api": gateway_api,
        "credentials": credentials,
        "workloads": known.workloads,
        "groups": groups,
        "places": places,
        "networks": models.equal("networks", networks.Networks(between, names)),
        "aliases": known.aliases,
        "pod_settings": models.of("pod settings", pods, lambda: _pod_settings(pods)),
        "label_keys": models.equal("label keys", _label_keys(rules, routes) | _failover_keys(rules, known.services, chosen)),
        "localities_count": _localities_count(rules, known.services, chosen),
        "clusters_count": any(chosen.cluster_local.covers(one.host) for one in known.services),
    }


def _routes(models: Models, rivals: Sequence[Resource]) -> tuple[virtual.VirtualService, ...]:
    return models.each(virtual.from_resource, models.of("roots", rivals, lambda: delegation.resolved(rivals)[0]))


def _by_namespace(models: Models, chosen: mesh.Mesh, by_kind: ByKind) -> dict[str, Any]:
    """What is looked up by a workload's namespace and labels."""
    index = partial(_index, models, chosen, by_kind)
    return {
        "authentication": index("PeerAuthentication", authentication.from_resource, authentication.Authentication),
        "authorization": index("AuthorizationPolicy", authorization.from_resource, authorization.Authorization),
        "sidecars": index("Sidecar", sidecar.from_resource, sidecar.Sidecars),
        "envoy_filters": index("EnvoyFilter", envoyfilter.from_resource, envoyfilter.EnvoyFilters),
    }


def _groups(models: Models, resources: Sequence[Resource]) -> Groups:
    found = models.each(from_group, resources)
    return models.equal("groups", {(one.namespace, one.name): group for one, group in zip(resources, found, strict=True)})


def _member(models: Models, workload: Workload, groups: Groups) -> Workload | None:
    group = groups.get((workload.namespace, workload.group))
    return models.of(("member", id(workload)), (workload, group), lambda: member(workload, groups))


def _own_network(by_kind: ByKind, root_namespace: str) -> str:
    return next((one.labels.get(NETWORK_LABEL, "") for one in by_kind.get("Namespace", ()) if one.name == root_namespace), "")


def _services(
    models: Models, chosen: mesh.Mesh, places: networks.Places, by_kind: ByKind, registered: Sequence[Workload]
) -> services.Known:
    unplaced = (*models.each(_outside, by_kind.get("WorkloadEntry", ())), *registered)
    outside = models.same("outside", tuple(_placed(models, one, places) for one in unplaced))
    wishes = models.equal("wishes", {one.name: wish for one in by_kind.get("Namespace", ()) if (wish := distribution.wish(one))})
    cluster = models.of(
        "cluster",
        [chosen, places, wishes, *kubernetes.inputs(by_kind, outside)],
        lambda: kubernetes.read(by_kind, outside, places, chosen.exports.services, wishes),
    )
    workloads = models.same("workloads", (*outside, *cluster.workloads))
    return services.known(models, cluster, by_kind.get("ServiceEntry", ()), workloads, places, wishes)


def _placed(models: Models, workload: Workload, places: networks.Places) -> Workload:
    return models.of(("placed", id(workload)), (workload, places), lambda: networks.placed(workload, places))


def _outside(entry: Resource) -> Workload:
    return service.from_workload_entry(entry.spec, service.workload_name(entry), entry.namespace, entry.labels)


def _index(models: Models, chosen: mesh.Mesh, by_kind: ByKind, kind: str, read: Any, made: Any) -> Any:
    """The resources of one kind, among which those of the root namespace have a place of their own."""
    found = models.each(read, by_kind.get(kind, ()))
    return models.of(made, (chosen, *found), lambda: made(found, chosen.root_namespace))


def _pod_settings(pods: Iterable[Resource]) -> dict[tuple[str, str], Settings]:
    read = ((pod, proxytext.read(pod.annotations[proxytext.ANNOTATION])[0]) for pod in pods if proxytext.ANNOTATION in pod.annotations)
    return {
        (pod.namespace, pod.spec.status.pod_ip): from_config(settings)
        for pod, settings in read
        if settings is not None and pod.spec.status.pod_ip
    }  # fmt: skip


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
    everywhere = chosen.outlier_detection is not None or chosen.zone_aware is not None
    return everywhere or any(_places(policy, chosen) for policy in _policies(rules)) or any(one.locality for one in services)


def _places(policy: Any, settings: mesh.Mesh) -> bool:
    balancer = policy.load_balancer
    own = balancer.locality_lb_setting if balancer else None
    distributes = bool((own or settings.locality) and (own or settings.locality).distribute)
    return policy.outlier_detection is not None or distributes or bool(balancer and balancer.zone_aware_lb_setting)


def _failover_keys(rules: Iterable[destination.Rule], services: Iterable[service.Service], settings: mesh.Mesh) -> frozenset[str]:
    """The labels by which endpoints are preferred, but for those that stand in every locality."""
    balancers = [policy.load_balancer for policy in _policies(rules) if policy.load_balancer]
    wanted = [setting for one in balancers for setting in (one.locality_lb_setting, one.zone_aware_lb_setting)]
    wanted += [*(one.locality for one in services), settings.locality, settings.zone_aware]
    given = [setting for setting in wanted if setting is not None]
    nodes = {HOSTNAME_LABEL} if any(one.of_node for one in services) else set()
    return frozenset(label.partition("=")[0] for setting in given for label in setting.failover_priority) | nodes
