"""From a snapshot to xDS: pure functions, one room for each kind of resource."""

from collections.abc import Mapping

from pymesh.xds import proto, types
from pymesh.xds.names import LOCAL_CLUSTER

from ..built import Built
from ..holding import Holding, Part, holding
from ..model.envoyfilter import Effects
from ..model.snapshot import Snapshot
from ..model.view import GRPC, ProxyView
from . import clusters, endpoints, gateways, local_cluster, name_table, proxyless, proxyless_servers, secrets, sidecar_routes
from .inbound_listeners import inbound
from .manager import route_names
from .outbound import outbound
from .patched import effects as patched_effects
from .patched import patched
from .scope import Scope, scope_of

__all__ = ["Built", "effects", "generate"]


def generate(snapshot: Snapshot, view: ProxyView, type_url: str, names: frozenset[str] | None) -> Mapping[str, Built]:
    """The resources of one type for one proxy, by name; a Holding where proxies have many of them in common.

    `names` limits them to the ones subscribed to; None means all there are. A name that stands for nothing is absent.
    EnvoyFilters have been applied, but not for gRPC clients, which have no filters to change.
    Of secrets only those that Gateways and DestinationRules name are here: a workload's own come from its agent.
    """
    view = snapshot.member(view)
    scope = scope_of(snapshot, view)
    if view.flavor == GRPC:
        return _for_grpc(scope, view, type_url, names or frozenset())
    if type_url == types.ENDPOINT:
        return _endpoints(scope, view, names)
    if type_url == types.ROUTE:
        return patched(snapshot, view, type_url, Holding(Part(_routes(scope, view, names))))
    if type_url == types.CLUSTER:
        return _only(patched(snapshot, view, type_url, clusters.clusters(scope, view)), names)
    if type_url == types.LISTENER:
        return _only(patched(snapshot, view, type_url, _listeners(scope, view)), names)
    if type_url == types.SECRET:
        return secrets.secrets(snapshot, view, names or ())
    if type_url == types.NAME_TABLE:
        return name_table.name_table(scope, view)
    return {}


def effects(snapshot: Snapshot, view: ProxyView) -> Effects:
    """What becomes of the changes that EnvoyFilters ask of all that a proxy is sent."""
    scope = scope_of(snapshot, view)
    listeners = _listeners(scope, view)
    names = frozenset(name for built in listeners.values() for name in route_names(proto.unpack(built.any)))
    found = {types.LISTENER: listeners, types.CLUSTER: clusters.clusters(scope, view), types.ROUTE: _routes(scope, view, names)}
    return patched_effects(snapshot, view, found)


def _for_grpc(scope: Scope, view: ProxyView, type_url: str, names: frozenset[str]) -> Mapping[str, Built]:
    """Proxyless clients name everything that they want, listeners and clusters too."""
    if type_url == types.LISTENER:
        return {**proxyless.listeners(scope, names), **proxyless_servers.listeners(scope.snapshot, view, names)}
    if type_url == types.ENDPOINT:
        return endpoints.assignments(scope, names)
    makers = {types.ROUTE: proxyless.route_configurations, types.CLUSTER: proxyless.clusters}
    return makers[type_url](scope, names) if type_url in makers else {}


def _endpoints(scope: Scope, view: ProxyView, names: frozenset[str] | None) -> Holding:
    asks = names is not None and LOCAL_CLUSTER in names
    return endpoints.assignments(scope, names, {LOCAL_CLUSTER: local_cluster.assignment(scope, view)} if asks else {})


def _listeners(scope: Scope, view: ProxyView) -> Holding:
    if view.is_router:
        return Holding(Part(gateways.listeners(scope, view)))
    common, own = outbound(scope, view)
    return holding(common, Part({**own, **inbound(scope.snapshot, view)}) if own else inbound(scope.snapshot, view))


def _routes(scope: Scope, view: ProxyView, names: frozenset[str] | None) -> Mapping[str, Built]:
    if view.is_router:
        return _only(gateways.route_configurations(scope, view), names)
    made = ((name, sidecar_routes.route_configuration(scope, name)) for name in names or ())
    return {name: built for name, built in made if built}


def _only(found: Mapping[str, Built], names: frozenset[str] | None) -> Mapping[str, Built]:
    return found if names is None else {name: found[name] for name in names if name in found}
