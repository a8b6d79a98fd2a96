"""Requests that a client sent before the answer to an earlier one was out."""

from dataclasses import dataclass, field

from ..filters import LocalReply
from .headers import Fields, RequestHead


@dataclass(slots=True)
class Pipelined:
    """A request whose turn has not come, with what arrived of its body; or a refusal that waits for its turn."""

    head: RequestHead
    complete: bool
    chunked: bool = False
    upgrade: bytes = b""
    refusal: LocalReply | None = None
    fatal: bool = False
    """The connection ends with the refusal."""
    trailers: Fields | None = None
    body: list[bytes] = field(default_factory=list)
