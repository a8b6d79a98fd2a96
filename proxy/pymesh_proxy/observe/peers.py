"""What a workload says of itself: Istio's peer metadata, exchanged in headers and used as metric labels.

`x-envoy-peer-metadata` is a base64 protobuf Struct with a few keys of the node's metadata; `x-envoy-peer-metadata-id` is the
node's id. Both come from the other side of the wire and are believed as far as labels go, never for policy.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from pymesh.xds import proto

METADATA = b"x-envoy-peer-metadata"
METADATA_ID = b"x-envoy-peer-metadata-id"

MAX_HEADER = 16 * 1024
"""Bytes of a metadata header beyond which it is not looked at."""
MAX_LABEL = 256
"""Characters of one value that become a metric label."""
CACHE_LIMIT = 1024

_CANONICAL_NAME = "service.istio.io/canonical-name"
_CANONICAL_REVISION = "service.istio.io/canonical-revision"
_SENT_LABELS = ("app", "version", _CANONICAL_NAME, _CANONICAL_REVISION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peer:
    """One workload, in the words of Istio's metric labels; `unknown` where it did not say.

    Compared by identity: peers are interned by `Decoder`, and metrics hash one for every request.
    """

    workload: str = "unknown"
    namespace: str = "unknown"
    canonical_service: str = "unknown"
    canonical_revision: str = "latest"
    app: str = "unknown"
    version: str = "unknown"
    cluster: str = "unknown"


UNKNOWN = Peer()


def peer_of(metadata: Mapping[str, Any]) -> Peer:
    """The peer that a node's metadata (plain values) describes; fields of a wrong type count as absent."""
    labels = metadata.get("LABELS")
    labels = labels if isinstance(labels, Mapping) else {}
    workload = _text(metadata, "WORKLOAD_NAME")
    return Peer(
        workload=workload or "unknown",
        namespace=_text(metadata, "NAMESPACE") or "unknown",
        canonical_service=_text(labels, _CANONICAL_NAME) or _text(labels, "app") or workload or "unknown",
        canonical_revision=_text(labels, _CANONICAL_REVISION) or _text(labels, "version") or "latest",
        app=_text(labels, "app") or "unknown",
        version=_text(labels, "version") or "unknown",
        cluster=_text(metadata, "CLUSTER_ID") or "unknown",
    )


def peer_of_endpoint(workload: str) -> Peer:
    """The peer behind an endpoint, from its metadata `<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>`."""
    if not workload:
        return UNKNOWN
    name, namespace, service, revision, cluster = (workload.split(";") + [""] * 5)[:5]
    return Peer(
        workload=name or "unknown",
        namespace=namespace or "unknown",
        canonical_service=service or "unknown",
        canonical_revision=revision or "latest",
        app=service or "unknown",
        version=revision or "unknown",
        cluster=cluster or "unknown",
    )


def encode(metadata: Mapping[str, Any]) -> bytes:
    """The value of `x-envoy-peer-metadata` for a node's metadata (plain values); the same metadata give the same bytes."""
    labels = metadata.get("LABELS")
    sent: dict[str, Any] = {key: metadata[key] for key in ("NAME", "NAMESPACE", "CLUSTER_ID", "WORKLOAD_NAME") if _text(metadata, key)}
    if isinstance(labels, Mapping):
        sent["LABELS"] = {key: labels[key] for key in _SENT_LABELS if _text(labels, key)}
    message = proto.struct_pb2.Struct()
    message.update(sent)
    return base64.b64encode(message.SerializeToString(deterministic=True))


class Decoder:
    """Peers by the raw value of their header: the same workload sends the same bytes with every request."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Peer | None] = {}

    def decode(self, raw: bytes) -> Peer | None:
        """The peer, or None when the value is not what it should be."""
        if raw in self._known:
            return self._known[raw]
        if len(raw) > MAX_HEADER:
            return None
        if len(self._known) >= CACHE_LIMIT:
            del self._known[next(iter(self._known))]
        peer = self._known[raw] = _decode(raw)
        return peer


def _decode(raw: bytes) -> Peer | None:
    message = proto.struct_pb2.Struct()
    try:
        message.ParseFromString(base64.b64decode(raw, validate=True))
    except (binascii.Error, DecodeError):
        return None
    metadata: dict[str, Any] = {key: value.string_value for key, value in message.fields.items()}
    if "LABELS" in message.fields:
        labels = message.fields["LABELS"].struct_value.fields
        metadata["LABELS"] = {key: value.string_value for key, value in labels.items()}
    return peer_of(metadata)


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value[:MAX_LABEL] if isinstance(value, str) else ""
