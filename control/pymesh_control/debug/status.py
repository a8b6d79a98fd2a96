"""What has become of each resource: accepted, in use by proxies, put aside by another, accepted by how many of those who have it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pymesh.api import Problem, Resource
from pymesh.xds import proto, types

from ..ads.stream import Stream
from ..ads.subscription import Status
from ..built import Built
from ..generate.provenance import origins_of
from ..model.gatewayapi.conditions import ACCEPTED
from ..model.origin import Origin
from ..model.service import full_name
from ..model.snapshot import Snapshot
from ..model.virtual import MESH
from ..registration.standing import Standing
from ..store.catalogue import key_of
from ..world import World
from . import registered
from .clients import short_name

TRACED = (
    "AuthorizationPolicy", "BackendTLSPolicy", "DestinationRule", "EnvoyFilter", "GRPCRoute", "Gateway", "HTTPRoute",
    "KubernetesGateway", "ListenerSet", "PeerAuthentication", "Service", "ServiceEntry", "Sidecar", "TCPRoute", "TLSRoute",
    "VirtualService",
)  # fmt: skip
"""The kinds that what is made of them names; of others nobody can say which proxies have them."""

_CARRIERS = (types.CLUSTER, types.LISTENER, types.ROUTE)


@dataclass(slots=True)
class Reach:
    """The proxies that hold something made of a resource, by how they stand with it."""

    holding: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)


def statusz(world: World, streams: Iterable[Stream], standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """Every resource that was read or registered. It looks at everything that every client holds."""
    reached = _reached(streams)
    read = [_status(world, one, reached.get(str(_origin(one)), Reach())) for one in world.resources_read]
    return [*read, *registered.statuses(world.snapshot, standings)]


def _status(world: World, resource: Resource, reach: Reach) -> dict[str, Any]:
    traced = resource.kind in TRACED and not _is_delegate(resource)
    return {
        "kind": resource.kind,
        "namespace": resource.namespace,
        "name": resource.name,
        "file": str(resource.where),
        "accepted": key_of(resource) not in world.refused and _is_attached(world.snapshot, resource),
        "programmed": bool(reach.holding) if traced else None,
        "shadowed_by": sorted(map(str, _shadows(world.snapshot, resource))),
        "proxies": len(reach.holding),
        "acked": len(reach.holding - reach.waiting - reach.refusing),
        "refused_by": sorted(reach.refusing),
        "problems": [str(problem) for problem in world.problems if _is_about(problem, resource)],
    }


def _reached(streams: Iterable[Stream]) -> dict[str, Reach]:
    """By the text of an origin."""
    known: dict[int, tuple[Built, frozenset[str]]] = {}  # proxies that see the same mesh hold the same objects
    found: dict[str, Reach] = {}
    for stream in streams:
        proxy = short_name(stream)
        for origin, standing in _held(stream, known):
            reach = found.setdefault(origin, Reach())
            reach.holding.add(proxy)
            if standing is Status.NACKED:
                reach.refusing.add(proxy)
            elif standing is not Status.SYNCED:
                reach.waiting.add(proxy)
    return found


def _held(stream: Stream, known: dict[int, tuple[Built, frozenset[str]]]) -> Iterator[tuple[str, Status]]:
    for type_url in _CARRIERS:
        subscription = stream.session.subscriptions.get(type_url)
        for name, built in subscription.fetch(stream.session.resources).items() if subscription else ():
            if id(built) not in known:
                known[id(built)] = built, frozenset(origins_of(proto.unpack(built.any)))
            standing = subscription.standing(name) if subscription else Status.NOT_SENT
            yield from ((origin, standing) for origin in known[id(built)][1])


def _is_about(problem: Problem, resource: Resource) -> bool:
    """Whether a problem is one of this resource, whose name it begins with."""
    return problem.file == resource.where.file and problem.message.startswith((f"{_origin(resource)}:", f"{_origin(resource)} "))


def _shadows(snapshot: Snapshot, resource: Resource) -> Iterable[Origin]:
    """The resources that have all or some of what this one claims, as its own namespace sees it."""
    finder = _FINDERS.get(resource.kind)
    return {other for other in finder(snapshot, resource) if other != _origin(resource)} if finder else ()


def _of_routes(snapshot: Snapshot, resource: Resource) -> Iterator[Origin]:
    """Rules for sidecars are not merged: of each host the first has it. Those of gateways are, and routes of the Gateway API."""
    for own in snapshot.written_by(_origin(resource)):
        if MESH in own.gateways:
            rules = snapshot.mesh_rules(own.namespace)
            holders = (rules.find(host) for host in own.hosts)
            yield from (holder.origin for holder in holders if holder is not None and holder is not own)


def _of_rules(snapshot: Snapshot, resource: Resource) -> Iterator[Origin]:
    """Rules of one host and audience are merged, and then both names stand on what is found."""
    if resource.spec.workload_selector is not None:
        return
    rule = snapshot.rules.find(full_name(resource.spec.host, resource.namespace), resource.namespace, resource.namespace, {})
    if rule is not None and resource.name not in rule.names:
        yield from rule.origins


_FINDERS: dict[str, Callable[[Snapshot, Resource], Iterator[Origin]]] = {
    "DestinationRule": _of_rules,
    **dict.fromkeys(("VirtualService", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"), _of_routes),
}


def _is_attached(snapshot: Snapshot, resource: Resource) -> bool:
    """Whether everything that an object of the Gateway API attaches to takes it; others attach to nothing."""
    told = snapshot.cached(("gateway api statuses",), lambda: {one.origin: one for one in snapshot.gateway_api.statuses})
    own = told.get(_origin(resource))
    return own is None or not any(condition.type == ACCEPTED for condition in own.unmet)


def _is_delegate(resource: Resource) -> bool:
    """A VirtualService without hosts: what is made of it bears its root's name."""
    return resource.kind == "VirtualService" and not resource.spec.hosts


def _origin(resource: Resource) -> Origin:
    return Origin(resource.kind, resource.namespace, resource.name)
