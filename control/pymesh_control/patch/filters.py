"""Changes to network filters, and to the HTTP filters in connection managers. Lists are rearranged before anything is merged."""

from typing import Any

from pymesh.api.models.envoyfilter import ApplyTo, PatchContext
from pymesh.xds import proto

from ..model.envoyfilter import Effects, EnvoyPatch, Patches
from .listener_match import http_filter, meets, network_filter, of_chain, of_listener
from .merging import merge_filter
from .order import rearrange

MANAGER = "envoy.filters.network.http_connection_manager"


def patch_network_filters(listener: Any, chain: Any, patches: Patches, context: PatchContext, effects: Effects) -> None:
    """Change the filters of a chain."""
    changes, within = (
        [one for one in patches.of(target, context) if of_listener(one, listener) and of_chain(one, listener, chain)]
        for target in (ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER)
    )
    for one in changes:
        if rearrange(chain.filters, one, network_filter(one)):
            effects.done.add(one)
    for item in chain.filters:
        for one in changes:
            if one.merges and meets(network_filter(one), item):
                effects.merged(one, merge_filter(item, one.value, replace_lists=one.replaces_lists))
        _patch_http_filters(item, [one for one in within if meets(network_filter(one), item)], effects)


def _patch_http_filters(item: Any, changes: list[EnvoyPatch], effects: Effects) -> None:
    if not changes or item.name != MANAGER or not item.typed_config.Is(proto.hcm.HttpConnectionManager.DESCRIPTOR):
        return
    manager = proto.unpack(item.typed_config)
    for one in changes:
        if rearrange(manager.http_filters, one, http_filter(one)):
            effects.done.add(one)
    for inner in manager.http_filters:
        for one in changes:
            if one.merges and meets(http_filter(one), inner):
                effects.merged(one, merge_filter(inner, one.value, replace_lists=one.replaces_lists))
    item.typed_config.CopyFrom(proto.pack(manager))
