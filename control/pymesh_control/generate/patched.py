"""EnvoyFilters at the end of generation. Each patched resource is made once for all proxies with the same patches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymesh.api.models.envoyfilter import ApplyTo, PatchContext
from pymesh.xds import proto, types

from ..built import Built, pack
from ..holding import Holding, Part
from ..model.envoyfilter import Effects, EnvoyPatch, Patches
from ..model.memory import Same
from ..model.snapshot import Snapshot
from ..model.view import ProxyView
from ..patch import clusters, listeners, routes
from .provenance import stamp, stamp_also


@dataclass(frozen=True, slots=True)
class _Room:
    """One type of resource: what patches are looked at, how one resource is changed, and which are new."""

    targets: tuple[ApplyTo, ...]
    patch: Callable[[Any, Patches, bool, Effects], bool]
    """(message, patches, whether it is for a gateway, where to note what was done); False when the resource is removed."""
    added: Callable[[Patches, tuple[PatchContext, ...]], Iterable[EnvoyPatch]]


def patched(snapshot: Snapshot, view: ProxyView, type_url: str, found: Holding) -> Holding:
    """The resources as EnvoyFilters leave them: changed, fewer, or more. What no patch can touch is returned as it is.

    A new resource whose name is taken is left out, as it could only be refused.
    """
    patches = snapshot.envoy_filters.of(view)
    room = _ROOMS.get(type_url)
    if not patches or room is None or not any(target in patches.by_target for target in room.targets):
        return found
    parts = [_part(snapshot, patches, room, part, view.is_router) for part in found.parts]
    new = dict(map(_added, room.added(patches, _ROUTER if view.is_router else _SIDECAR)))
    fresh = {name: built for name, built in new.items() if not any(name in part for part in parts)}
    return Holding(*parts, Part(fresh)) if fresh else Holding(*parts)


def effects(snapshot: Snapshot, view: ProxyView, found: Mapping[str, Mapping[str, Built]]) -> Effects:
    """What becomes of all that EnvoyFilters ask of a proxy's resources; `found` has them by type, as they are without."""
    patches, noted = snapshot.envoy_filters.of(view), Effects()
    for type_url, resources in found.items():
        room = _ROOMS[type_url]
        for built in resources.values():
            room.patch(proto.unpack(built.any), patches, view.is_router, noted)
        new = room.added(patches, _ROUTER if view.is_router else _SIDECAR)
        noted.done.update(one for one in new if one.value.name not in resources)
    return noted


def _part(snapshot: Snapshot, patches: Patches, room: _Room, part: Part, is_router: bool) -> Part:
    """What proxies have in common that are patched alike they have in common after it."""
    made = ((name, _once(snapshot, patches, room, built, is_router)) for name, built in part.items())
    key = ("patched part", Same(patches), is_router, Same(part))
    return snapshot.cached(key, lambda: Part((name, built) for name, built in made if built is not None))


def _once(snapshot: Snapshot, patches: Patches, room: _Room, built: Built, is_router: bool) -> Built | None:
    key = ("patched", Same(patches), is_router, built.any.type_url, built.version)
    kept = snapshot.cached(key, lambda: (_made(patches, room, built, is_router),))  # a tuple, because None would not be kept
    return kept[0]


def _made(patches: Patches, room: _Room, built: Built, is_router: bool) -> Built | None:
    message = proto.unpack(built.any)
    effects = Effects()
    if not room.patch(message, patches, is_router, effects):
        return None
    now = pack(message)
    return built if now.version == built.version else pack(stamp_also(message, effects.origins))


def _added(one: EnvoyPatch) -> tuple[str, Built]:
    message = type(one.value)()
    message.CopyFrom(one.value)
    return message.name, pack(stamp(message, (one.origin,)))


def _listener(message: Any, patches: Patches, is_router: bool, effects: Effects) -> bool:
    return listeners.patch(message, patches, listeners.context_of(message, is_router=is_router), effects)


def _cluster(message: Any, patches: Patches, is_router: bool, effects: Effects) -> bool:
    return clusters.patch(message, patches, clusters.context_of(message, is_router=is_router), effects)


def _routes(message: Any, patches: Patches, is_router: bool, effects: Effects) -> bool:
    routes.patch(message, patches, PatchContext.GATEWAY if is_router else PatchContext.SIDECAR_OUTBOUND, effects)
    return True


_SIDECAR = (PatchContext.SIDECAR_INBOUND, PatchContext.SIDECAR_OUTBOUND)
_ROUTER = (PatchContext.GATEWAY,)
_ROOMS = {
    types.LISTENER: _Room((*listeners.TARGETS, *routes.TARGETS), _listener, listeners.added),
    types.CLUSTER: _Room(clusters.TARGETS, _cluster, clusters.added),
    types.ROUTE: _Room(routes.TARGETS, _routes, lambda _patches, _contexts: ()),
}
