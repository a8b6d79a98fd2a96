"""A resource ready to be sent: packed bytes, and a version that changes only when they do."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pymesh.xds import proto


@dataclass(frozen=True, slots=True)
class Built:
    """One resource, packed in `Any`; `version` is a hash of its bytes."""

    any: Any = field(repr=False, compare=False)
    version: str
    _wire: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By form: what a response with only this resource would be, made once for all clients."""

    def in_delta(self, name: str) -> bytes:
        """The resource as a field of a DeltaDiscoveryResponse; serialized messages that are joined are one message (Protobuf encoding)."""
        made = self._wire.get("delta")
        if made is None:
            resource = proto.discovery.Resource(name=name, version=self.version, resource=self.any)
            made = self._wire["delta"] = proto.discovery.DeltaDiscoveryResponse(resources=[resource]).SerializeToString()
        return made

    def in_full(self) -> bytes:
        """The resource as a field of a DiscoveryResponse."""
        made = self._wire.get("full")
        if made is None:
            made = self._wire["full"] = proto.discovery.DiscoveryResponse(resources=[self.any]).SerializeToString()
        return made


def pack(message: Any) -> Built:
    return _built(proto.pack(message))


def pack_joined(head: Any, parts: Iterable[bytes]) -> Built:
    """A message in whose serialized form `parts` follow: large lists are made of parts that others have serialized already."""
    packed = proto.pack(head)
    packed.value = b"".join((packed.value, *parts))
    return _built(packed)


def _built(packed: Any) -> Built:
    return Built(packed, hashlib.blake2b(packed.value, digest_size=8).hexdigest())
