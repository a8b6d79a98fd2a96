"""A request's body that is held back until it has come whole."""

from typing import Final

from ..filters import LocalReply
from .grpc_frames import BodyTap

TOO_LARGE: Final = LocalReply(status=413, body=b"Payload Too Large", details="request_payload_too_large")


class WholeBody(BodyTap):
    """Holds up to `limit` bytes."""

    __slots__ = ("_held", "_limit", "size")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._held: list[bytes] = []
        self.size = 0

    def take(self, data: bytes, end: bool) -> bytes:
        self.size += len(data)
        if self.size > self._limit:
            self._held = []
            self.refusal = TOO_LARGE
            return b""
        self._held.append(data)
        if not end:
            return b""
        held, self._held = self._held, []
        return b"".join(held)
