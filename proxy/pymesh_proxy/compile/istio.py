"""Istio's own filters, which carry their configuration in a TypedStruct: standard metrics and the exchange of peer metadata."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from .fields import Reader

STATS = "type.googleapis.com/stats.PluginConfig"
PEER_METADATA = "type.googleapis.com/io.istio.http.peer_metadata.Config"

_TYPED_STRUCTS = frozenset({"udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"})
_METHODS = frozenset({"istio_headers", "istioHeaders", "workload_discovery", "workloadDiscovery"})
_DIRECTIONS = frozenset(
    {
        "downstream_discovery",
        "upstream_discovery",
        "downstream_propagation",
        "upstream_propagation",
        "downstreamDiscovery",
        "upstreamDiscovery",
        "downstreamPropagation",
        "upstreamPropagation",
    }
)


def typed_struct_url(entry: Reader) -> str:
    """The type URL inside a filter's TypedStruct; empty when its configuration is no TypedStruct."""
    if entry.message.typed_config.type_url.rpartition("/")[2] not in _TYPED_STRUCTS:
        return ""
    config = entry.extension()
    return str(config.message.type_url) if config else ""


def check_stats(entry: Reader) -> None:
    """Istio's metrics are kept as documented; options that change them are refused."""
    for name in _content(entry):
        if name not in ("disable_host_header_fallback", "disableHostHeaderFallback"):
            entry.refuse("typed_config.value", f"{name} is not supported; the standard metrics are kept unchanged")


def check_peer_metadata(entry: Reader) -> None:
    """Peer metadata travels in headers, whichever side discovers or propagates; other methods are refused."""
    for name, methods in _content(entry).items():
        if name not in _DIRECTIONS:
            entry.refuse("typed_config.value", f"{name} is not supported")
            continue
        for method in methods if isinstance(methods, list) else [methods]:
            unknown = set(method) - _METHODS if isinstance(method, dict) else {str(method)}
            if unknown:
                entry.refuse(f"typed_config.value.{name}", f"{', '.join(sorted(unknown))} is not supported; istio_headers is")


def _content(entry: Reader) -> Mapping[str, Any]:
    config = entry.extension()
    return json_format.MessageToDict(config.message.value) if config else {}
