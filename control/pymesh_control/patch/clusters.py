"""Changes to clusters."""

from collections.abc import Iterator
from typing import Any

from pymesh.api.models.envoyfilter import ApplyTo, PatchContext, PatchOperation
from pymesh.xds import names

from ..model.envoyfilter import Effects, EnvoyPatch, Patches
from .merging import merge, merge_socket

TARGETS = (ApplyTo.CLUSTER,)
_INBOUND = "inbound"


def context_of(cluster: Any, *, is_router: bool) -> PatchContext:
    """The direction that a generated cluster belongs to."""
    if is_router:
        return PatchContext.GATEWAY
    parsed = names.parse_cluster(cluster.name)
    inbound = cluster.name == names.INBOUND_PASSTHROUGH_CLUSTER or (parsed is not None and parsed.direction == _INBOUND)
    return PatchContext.SIDECAR_INBOUND if inbound else PatchContext.SIDECAR_OUTBOUND


def patch(cluster: Any, patches: Patches, context: PatchContext, effects: Effects) -> bool:
    """Change a cluster; False when it is removed."""
    for one in patches.of(ApplyTo.CLUSTER, context):
        if _is_meant(one, cluster):
            if one.operation is PatchOperation.REMOVE:
                effects.done.add(one)
                return False
            if one.merges:
                effects.merged(one, _merge(cluster, one))
    return True


def added(patches: Patches, contexts: tuple[PatchContext, ...]) -> Iterator[EnvoyPatch]:
    """New clusters: those for any context belong to outbound traffic and to gateways."""
    for one in patches.by_target.get(ApplyTo.CLUSTER, ()):
        if one.operation is PatchOperation.ADD and one.context in (PatchContext.ANY, *contexts):
            yield one


def _is_meant(one: EnvoyPatch, cluster: Any) -> bool:
    """By its whole name, which then is all that counts, or by parts of it."""
    wanted = one.cluster
    if wanted is None:
        return True
    if wanted.name:
        return bool(wanted.name == cluster.name)
    parsed = names.parse_cluster(cluster.name) or names.ClusterName("", 0, "", "")
    return (
        wanted.subset in (None, "", parsed.subset)
        and (not wanted.service or wanted.service in _hosts(cluster, parsed))
        and wanted.port_number in (None, 0, parsed.port)
    )


def _hosts(cluster: Any, parsed: names.ClusterName) -> list[str]:
    """The hosts of a cluster; the names of inbound ones have none, so there the services that it serves tell."""
    if parsed.direction != _INBOUND:
        return [parsed.host]
    metadata = cluster.metadata.filter_metadata
    services = metadata["istio"]["services"] if "istio" in metadata and "services" in metadata["istio"] else ()
    return [service["host"] for service in services]


def _merge(cluster: Any, one: EnvoyPatch) -> str:
    """A transport socket is merged into the first of its name, or put in the place of another; then nothing else of the value is.

    Gives what was met of another type.
    """
    value = one.value
    if not value.HasField("transport_socket"):
        merge(cluster, value, replace_lists=one.replaces_lists)
        return ""
    wanted = value.transport_socket
    matches = cluster.transport_socket_matches
    held = [match.transport_socket for match in matches] or [cluster.transport_socket]
    found = next((socket for socket in held if socket.name == wanted.name), None)
    if found is not None:
        return merge_socket(found, wanted, replace_lists=one.replaces_lists)
    if matches:
        return ", ".join(dict.fromkeys(socket.name for socket in held))
    cluster.transport_socket.CopyFrom(wanted)
    return ""
