"""EDS: the instances of a cluster, by locality, each with what chooses its TLS and what telemetry says of it."""

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pymesh.xds import names, proto
from pymesh.xds import node as nodes

from ..built import Built, pack
from ..holding import Holding, Part, holding
from ..model.authentication import Mode
from ..model.destination import Policy, Rule
from ..model.locality import Group
from ..model.memory import Same
from ..model.service import Endpoint, Instances, Port, Service
from ..model.workload import Workload, selects
from . import horizon, locality, passing
from .common import endpoint_address
from .scope import Scope

_POINT = proto.endpoint_components


def assignments(scope: Scope, wanted: frozenset[str] | None, own: Mapping[str, Built] = MappingProxyType({})) -> Holding:
    """The assignments of a scope by cluster name; all of them when `wanted` is None. `own` are those of a client alone."""
    found = scope.cached(("endpoints",), lambda: Part(_all(scope)))
    if wanted is None:
        return Holding(found)
    return holding(found.only(wanted), {**own, **(_twins(scope, wanted) if scope.type == nodes.ROUTER else {})})


def _twins(scope: Scope, wanted: frozenset[str]) -> dict[str, Built]:
    return {name: built for name in wanted if (built := _passed(scope, name)) is not None}


def assignment(
    scope: Scope, service: Service, port: Port, subset: str, rule: Rule | None, instances: Iterable[Endpoint], *, passed: bool = False
) -> Any:
    """The ClusterLoadAssignment of one cluster; localities in sorted order, so that equal content is equal bytes.

    `instances` are those of the port, of which a subset has some. `passed` is for the cluster's twin to which a gateway passes TLS on:
    under its name, with instances that end mutual TLS.
    """
    labels = rule.subsets[subset].labels if rule and subset else {}
    node = scope.node_for(service)
    chosen = [one for one in instances if node in (None, one.workload.node) and selects(labels, one.workload.labels)]
    policy = scope.policy(rule, port.number, subset)
    stated = _rule_says_mutual(policy)
    if passed:
        chosen = [one for one in chosen if _mutual(scope, one, stated)]
    name = (names.sni if passed else names.outbound_cluster)(service.host, port.number, subset)
    assigned = proto.endpoint.ClusterLoadAssignment(cluster_name=name)
    told = horizon.reached(scope, service, chosen, lambda one: _mutual(scope, one, stated))
    for group in locality.groups(scope, service, told, policy):
        instances = [_endpoint(one, service, mutual=_mutual(scope, one, stated)) for one in _sorted(group.endpoints)]
        assigned.endpoints.append(_group(group, instances))
    return assigned


def grouped(group: Group) -> Any:
    """Bare endpoints of one locality, which are counted and never called."""
    addresses = [endpoint_address(one.workload.ip, one.port) for one in _sorted(group.endpoints)]
    return _group(group, [_POINT.LbEndpoint(endpoint=_POINT.Endpoint(address=address)) for address in addresses])


def _all(scope: Scope) -> dict[str, Built]:
    found: dict[str, Built] = {}
    for service in scope.services.values():
        if scope.resolution(service) == "STATIC":
            instances = scope.snapshot.instances(service)
            found |= scope.cached(("endpoints of", Same(service), Same(instances)), partial(_of_service, scope, service, instances))
    return found


def _of_service(scope: Scope, service: Service, instances: Instances) -> dict[str, Built]:
    rule = scope.rule(service)
    return {
        names.outbound_cluster(service.host, port.number, subset): _shared(scope, service, port, subset, rule, instances)
        for port in service.ports
        for subset in ("", *(rule.subsets if rule else ()))
    }


def _passed(scope: Scope, name: str) -> Built | None:
    """The assignment of a twin by its name; None for another name."""
    found = passing.destination(scope, name)
    return None if found is None else _shared(scope, *found, scope.rule(found[0]), scope.snapshot.instances(found[0]), passed=True)


def _shared(
    scope: Scope, service: Service, port: Port, subset: str, rule: Rule | None, instances: Instances, *, passed: bool = False
) -> Built:
    """The assignment as every client gets it whom the same rule governs."""
    placed = locality.key(scope, service, scope.policy(rule, port.number, subset))
    found = instances.get(port.number, ())
    key = ("endpoints", Same(service), port, subset, Same(rule), Same(instances), placed, scope.site, scope.node_for(service), passed)
    return scope.snapshot.cached(key, lambda: pack(assignment(scope, service, port, subset, rule, found, passed=passed)))


def _rule_says_mutual(policy: Policy) -> bool | None:
    """What a rule's TLS mode says of mutual TLS; None when there is none and each instance decides."""
    tls = policy.tls
    return None if tls is None else bool(tls.mode and tls.mode.value == "ISTIO_MUTUAL")


def _mutual(scope: Scope, endpoint: Endpoint, stated: bool | None) -> bool:
    if stated is not None or endpoint.is_gateway:
        return endpoint.is_gateway or bool(stated)
    workload = endpoint.workload
    mode = scope.snapshot.authentication.mode(workload.namespace, workload.labels, endpoint.port)
    return endpoint.speaks_mutual_tls and mode is not Mode.DISABLE


def _sorted(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return sorted(endpoints, key=lambda one: (one.workload.ip, one.port))


def _group(group: Group, instances: list[Any]) -> Any:
    return _POINT.LocalityLbEndpoints(
        locality=_locality(group.locality),
        priority=group.priority,
        lb_endpoints=instances,
        load_balancing_weight=proto.wrappers_pb2.UInt32Value(value=group.weight),
    )


def _locality(place: str) -> Any:
    region, zone, sub_zone = (place.split("/") + ["", ""])[:3]
    return proto.base.Locality(region=region, zone=zone, sub_zone=sub_zone)


def _endpoint(endpoint: Endpoint, service: Service, *, mutual: bool) -> Any:
    message = _POINT.LbEndpoint(
        endpoint=_POINT.Endpoint(address=endpoint_address(endpoint.workload.ip, endpoint.port)),
        health_status=str(endpoint.workload.health),
        load_balancing_weight=proto.wrappers_pb2.UInt32Value(value=endpoint.workload.weight),
    )
    metadata = message.metadata.filter_metadata
    if not service.external and not endpoint.is_gateway:
        metadata["istio"].fields["workload"].string_value = _identity(endpoint.workload)
    if mutual:
        metadata["envoy.transport_socket_match"].fields["tlsMode"].string_value = "istio"
    return message


def _identity(workload: Workload) -> str:
    """`<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>`."""
    name, revision = workload.canonical_name, workload.canonical_revision
    return ";".join((workload.name, workload.namespace, name, revision, workload.cluster_id))
