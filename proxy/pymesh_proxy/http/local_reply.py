"""An answer made here, from what is known of it to head and body: `local_reply_config`, the gRPC form, the framing.

The order is Envoy's: the status is known, filters and routes have edited the head, then mappers have their say, and only then
is it decided how a body is described.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .. import rescue
from . import wire
from .exchange import Exchange
from .grpc import is_call
from .headers import ResponseHead

if TYPE_CHECKING:
    from ..route.table import Edit

_PLAIN: Final = b"text/plain"


@dataclass(frozen=True, slots=True)
class BodyFormat:
    """How a body is written: its type, and its text made of the exchange and what the body would be otherwise."""

    content_type: bytes
    write: Callable[[Exchange, bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapper:
    """Changes the answers that `matches` takes; what is None (a status: 0) stays."""

    matches: Callable[[Exchange], bool]
    status: int = 0
    body: bytes | None = None
    format: BodyFormat | None = None
    edit: "Edit | None" = None


@dataclass(frozen=True, slots=True)
class LocalReplies:
    """A `local_reply_config`: the first mapper that matches, and the format where it has none of its own."""

    mappers: tuple[Mapper, ...] = ()
    format: BodyFormat | None = None

    def rewrite(self, exchange: Exchange, response: ResponseHead, body: bytes) -> tuple[bytes, bytes]:
        """The body and its content type; status and headers are changed in place."""
        chosen = self.format
        for mapper in self.mappers:
            if mapper.matches(exchange):
                if mapper.edit is not None:
                    mapper.edit(exchange)
                if mapper.body is not None:
                    body = mapper.body
                if mapper.status:
                    response.status = exchange.status = mapper.status
                chosen = mapper.format or chosen
                break
        if chosen is None:
            return body, _PLAIN
        return chosen.write(exchange, body), chosen.content_type


def complete(replies: LocalReplies | None, exchange: Exchange, response: ResponseHead, body: bytes) -> bytes:
    """Give an answer's head what describes its body, and return the body as it goes out.

    `response` is the exchange's and has the status and all headers but these; for a gRPC client it becomes a trailers-only
    answer, whose body is empty.
    """
    content_type, before = _PLAIN, body
    given = response.index.get(b"content-type")
    if replies is not None:
        body, content_type = replies.rewrite(exchange, response, body)
    if b"content-type" in exchange.head.index and is_call(exchange):
        rescue.to_grpc(response, body)
        exchange.status = response.status
        body = b""
    elif body and response.status not in wire.BODILESS:
        response.set(b"content-length", b"%d" % len(body))
        custom = response.index.get(b"content-type")
        if custom is None or (custom == given and body != before):
            response.set(b"content-type", content_type)
        return body
    else:
        response.remove(b"content-type")
    response.remove(b"content-length")
    if response.status not in wire.BODILESS and exchange.protocol != "HTTP/2":  # where END_STREAM says it
        response.add(b"content-length", b"0")
    return b""
