"""What generated resources say of where they come from: metadata under our own key, for people and for `debug.status`.

Names alone, no file and line: a listener or cluster whose metadata change is replaced by its proxy, and a comment in a file must not
do that. Who asks is told the present place of a resource by the control plane.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..model.origin import Origin
from .common import struct

KEY = "pymesh"
_ISTIO = "istio"


def stamp(message: Any, origins: Iterable[Origin]) -> Any:
    """Write the origins into a message's metadata, if there are any; gives the message back."""
    told = [str(one) for one in origins]
    if told:
        message.metadata.filter_metadata[KEY].CopyFrom(struct({"origins": told}))
    return message


def stamp_also(message: Any, origins: Iterable[Origin]) -> Any:
    """Add origins to those that a message tells already; gives the message back."""
    told = list(dict.fromkeys((*_told(message), *map(str, origins))))
    if told:
        message.metadata.filter_metadata[KEY].CopyFrom(struct({"origins": told}))
    return message


_RULES = {
    "DestinationRule": ("networking.istio.io", "destination-rule"),
    "VirtualService": ("networking.istio.io", "virtual-service"),
    "BackendTLSPolicy": ("gateway.networking.k8s.io", "backend-tls-policy"),
    "HTTPRoute": ("gateway.networking.k8s.io", "http-route"),
    "GRPCRoute": ("gateway.networking.k8s.io", "grpc-route"),
}


def config_path(origin: Origin) -> str | None:
    """The path by which Istio's `config` names a resource that rules; None for one that does not."""
    if origin.kind not in _RULES:
        return None
    group, kind = _RULES[origin.kind]
    return f"/apis/{group}/v1/namespaces/{origin.namespace}/{kind}/{origin.name}"


def stamp_config(message: Any, origin: Origin) -> None:
    """Write Istio's own word for the rule that a message was made of, if it was made of one."""
    path = config_path(origin)
    if path is not None:
        message.metadata.filter_metadata[_ISTIO].CopyFrom(struct({"config": path}))


def origins_of(message: Any) -> Iterator[str]:
    """What a cluster, listener or route configuration says of itself and of its parts, as text."""
    yield from _told(message)
    for chain in getattr(message, "filter_chains", ()):
        yield from _told(chain)
    for host in getattr(message, "virtual_hosts", ()):
        for route in host.routes:
            yield from _told(route)


def _told(message: Any) -> Iterator[str]:
    known = getattr(message, "metadata", None)
    if known is not None and KEY in known.filter_metadata:
        yield from (value.string_value for value in known.filter_metadata[KEY].fields["origins"].list_value.values)
