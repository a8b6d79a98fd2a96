"""A response on its way: what differs from client to client as a message, the resources as bytes that all clients share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """A discovery response of either form, which becomes bytes of its own only when it is written.

    Serialized messages that are joined are one message (Protobuf's encoding), so resources need not be serialized again for each client.
    """

    head: Any
    """Everything but the resources."""
    resources: Sequence[bytes] = ()

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return int(self.head.ByteSize()) + sum(map(len, self.resources))

    def serialized(self) -> bytes:
        return b"".join((self.head.SerializeToString(), *self.resources))
