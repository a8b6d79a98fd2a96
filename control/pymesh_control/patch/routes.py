"""Changes to route configurations, and to the virtual hosts and routes in them."""

from typing import Any

from pymesh.api.models.envoyfilter import ApplyTo, PatchContext, PatchOperation, RouteActionKind
from pymesh.xds import proto

from ..model.envoyfilter import Effects, EnvoyPatch, Patches
from .filters import MANAGER
from .merging import merge
from .order import Wanted, keep, rearrange
from .route_match import of_configuration, of_host

TARGETS = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)


def patch(configuration: Any, patches: Patches, context: PatchContext, effects: Effects) -> None:
    """Change a route configuration."""
    of_hosts, of_routes = (_meant(patches, target, context, configuration) for target in (ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE))
    for one in _meant(patches, ApplyTo.ROUTE_CONFIGURATION, context, configuration):
        if one.merges:
            effects.done.add(one)
            merge(configuration, one.value, replace_lists=one.replaces_lists)
    keep(configuration.virtual_hosts, lambda host: _patch_host(host, of_hosts, of_routes, effects))
    for one in of_hosts:
        if one.operation is PatchOperation.ADD:
            effects.done.add(one)
            configuration.virtual_hosts.append(one.value)


def patch_inline(listener: Any, patches: Patches, context: PatchContext, effects: Effects) -> None:
    """Change the route configurations that stand in a listener's connection managers."""
    for chain in listener.filter_chains:
        for item in chain.filters:
            if item.name == MANAGER:
                manager = proto.unpack(item.typed_config)
                if manager.HasField("route_config"):
                    patch(manager.route_config, patches, context, effects)
                    item.typed_config.CopyFrom(proto.pack(manager))


def _meant(patches: Patches, target: ApplyTo, context: PatchContext, configuration: Any) -> list[EnvoyPatch]:
    return [one for one in patches.of(target, context) if of_configuration(one, configuration.name, context)]


def _patch_host(host: Any, of_hosts: list[EnvoyPatch], of_routes: list[EnvoyPatch], effects: Effects) -> bool:
    """Change a virtual host; False when it is removed."""
    for one in of_hosts:
        if of_host(one, host) and one.operation is not PatchOperation.ADD:
            effects.done.add(one)
            if one.operation is PatchOperation.REMOVE:
                return False
            if one.operation is PatchOperation.REPLACE:
                host.CopyFrom(one.value)
            if one.merges:
                merge(host, one.value, replace_lists=one.replaces_lists)
    changes = [one for one in of_routes if of_host(one, host)]
    keep(host.routes, lambda route: _patch_route(route, changes, effects))
    for one in changes:
        if _place(host.routes, one):
            effects.done.add(one)
    return True


def _patch_route(route: Any, changes: list[EnvoyPatch], effects: Effects) -> bool:
    """Change a route; False when it is removed."""
    for one in changes:
        wanted = _route(one)
        if wanted is None or wanted(route):
            if one.operation is PatchOperation.REMOVE:
                effects.done.add(one)
                return False
            if one.merges:
                effects.done.add(one)
                merge(route, one.value, replace_lists=one.replaces_lists)
    return True


def _place(routes: Any, one: EnvoyPatch) -> bool:
    """Add or insert; whether that was done. What is inserted first goes nowhere if it names a route that is not there."""
    wanted = _route(one)
    if one.operation is PatchOperation.INSERT_FIRST and wanted is not None and not any(map(wanted, routes)):
        return False
    return one.operation not in (PatchOperation.REMOVE, PatchOperation.REPLACE) and rearrange(routes, one, wanted)


def _route(one: EnvoyPatch) -> Wanted:
    """The route that a change names, by name, by what it does, or both."""
    host = one.routes.vhost if one.routes else None
    wanted = host.route if host else None
    return None if wanted is None else lambda route: _is_meant(wanted, route)


def _is_meant(wanted: Any, route: Any) -> bool:
    if wanted.name and wanted.name != route.name:
        return False
    if wanted.action in (None, RouteActionKind.ANY):
        return True
    action = route.WhichOneof("action")
    return bool(action == wanted.action.value.lower())
