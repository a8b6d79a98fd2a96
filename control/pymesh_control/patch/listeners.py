"""Changes to listeners, and to all that is in them."""

from collections.abc import Iterator
from typing import Any

from pymesh.api.models.envoyfilter import ApplyTo, PatchContext, PatchOperation
from pymesh.xds import proto

from ..model.envoyfilter import Effects, EnvoyPatch, Patches
from . import routes
from .filters import patch_network_filters
from .listener_match import listener_filter, of_chain, of_listener
from .merging import merge, merge_socket
from .order import keep, rearrange

TARGETS = (
    ApplyTo.LISTENER,
    ApplyTo.LISTENER_FILTER,
    ApplyTo.FILTER_CHAIN,
    ApplyTo.NETWORK_FILTER,
    ApplyTo.HTTP_FILTER,
)


def context_of(listener: Any, *, is_router: bool) -> PatchContext:
    """The direction that a generated listener belongs to."""
    if is_router:
        return PatchContext.GATEWAY
    inbound = listener.traffic_direction == proto.base.TrafficDirection.INBOUND
    return PatchContext.SIDECAR_INBOUND if inbound else PatchContext.SIDECAR_OUTBOUND


def patch(listener: Any, patches: Patches, context: PatchContext, effects: Effects) -> bool:
    """Change a listener; False when it is removed."""
    if context is PatchContext.SIDECAR_INBOUND and patches.touch(routes.TARGETS, context):
        routes.patch_inline(listener, patches, context, effects)
    for one in patches.of(ApplyTo.LISTENER, context):
        if of_listener(one, listener):
            if one.operation is PatchOperation.REMOVE:
                effects.done.add(one)
                return False
            if one.merges:
                effects.done.add(one)
                merge(listener, one.value, replace_lists=one.replaces_lists)
    for one in patches.of(ApplyTo.LISTENER_FILTER, context):
        if of_listener(one, listener) and rearrange(listener.listener_filters, one, listener_filter(one)):
            effects.done.add(one)
    _patch_chains(listener, patches, context, effects)
    return True


def added(patches: Patches, contexts: tuple[PatchContext, ...]) -> Iterator[EnvoyPatch]:
    """New listeners: those for any context belong to outbound traffic and to gateways."""
    for one in patches.by_target.get(ApplyTo.LISTENER, ()):
        if one.operation is PatchOperation.ADD and (one.context in (PatchContext.ANY, *contexts)):
            yield one


def _patch_chains(listener: Any, patches: Patches, context: PatchContext, effects: Effects) -> None:
    changes = [one for one in patches.of(ApplyTo.FILTER_CHAIN, context) if of_listener(one, listener)]

    def patched(chain: Any) -> bool:
        return _patch_chain(listener, chain, changes, patches, context, effects)

    keep(listener.filter_chains, patched)
    if listener.HasField("default_filter_chain") and not patched(listener.default_filter_chain):
        listener.ClearField("default_filter_chain")
    for one in changes:
        if one.operation is PatchOperation.ADD:
            effects.done.add(one)
            listener.filter_chains.append(one.value)


def _patch_chain(listener: Any, chain: Any, changes: list[EnvoyPatch], patches: Patches, context: PatchContext, effects: Effects) -> bool:
    for one in changes:
        if of_chain(one, listener, chain):
            if one.operation is PatchOperation.REMOVE:
                effects.done.add(one)
                return False
            if one.merges:
                effects.merged(one, _merge_chain(chain, one))
    patch_network_filters(listener, chain, patches, context, effects)
    return True


def _merge_chain(chain: Any, one: EnvoyPatch) -> str:
    """A transport socket of the same kind is merged inside, and then nothing else of the value is. Gives what was met of another type."""
    ours, wanted = chain.transport_socket, one.value.transport_socket
    if one.value.HasField("transport_socket") and chain.HasField("transport_socket") and ours.name == wanted.name:
        return merge_socket(ours, wanted, replace_lists=one.replaces_lists)
    merge(chain, one.value, replace_lists=one.replaces_lists)
    return ""
