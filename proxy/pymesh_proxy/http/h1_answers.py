"""The answering half of a client's HTTP/1.1 connection: heads and bodies out, and whether an answer is the last."""

import asyncio
import enum
from collections import deque
from typing import TYPE_CHECKING, Final

from ..wheel import NEVER
from . import wire
from .exchange import Downstream
from .headers import Fields, ResponseHead
from .options import HttpOptions
from .pipeline import Pipelined
from .stream import Framing

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime
    from .router import Router


class Reading(enum.Enum):
    """What the next bytes from the client are."""

    HEAD = "head"
    BODY = "body"
    RESUMED = "the framing of a request whose upgrade is ignored, fed again"
    UPGRADE = "held for a protocol switch"
    STOPPED = "nothing: the connection ends with the answer under way"
    REFUSED = "nothing: what came was no request, and more of it may be on its way"
    LINGER = "nothing: the last answer is out, waiting for the client to see it"


_HEAD: Final = Reading.HEAD
_STOPPED: Final = Reading.STOPPED
_NONE: Final = Framing.NONE
_CHUNKED: Final = Framing.CHUNKED
_UNTIL_CLOSE: Final = Framing.CLOSE
_TUNNEL: Final = Framing.TUNNEL

_LONG: Final = 64 * 1024
"""Bytes of a piece that is not copied to go out in one with the others."""


class Answering(asyncio.Protocol):
    """What `ServerConnection` is to the exchange that it serves."""

    __slots__ = (
        "_chunking", "_close_after", "_full", "_leaving", "_out", "_queue", "_read_by", "_reading", "_router", "_runtime", "_served",
        "_started", "_trailers", "_version_10", "facts", "options", "scope", "transport",
    )  # fmt: skip

    def __init__(self, runtime: "Runtime", options: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        self._runtime = runtime
        self.options = options
        self.scope = scope
        self.facts = facts
        self._reading = Reading.HEAD
        self._router: Router | None = None
        """The exchange under way."""
        self._queue: deque[Pipelined] = deque()
        self._out: list[bytes] = []
        self._chunking = False
        """The answer under way is chunked by us."""
        self._close_after = False
        """The answer under way is the connection's last."""
        self._full = False
        """The client has to take of what was written before anything else is begun."""
        self._leaving = False
        """The next answer is."""
        self._version_10 = False
        """The request under way was HTTP/1.0."""
        self._trailers: Fields | None = None
        """Of the answer under way."""
        self._read_by = NEVER
        """Loop time at which the request being read must be whole, its body too."""
        self._served = 0
        self._started = 0.0
        self.transport: asyncio.Transport

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        fields = response.fields
        status = response.status
        self._chunking = False
        self._trailers = None
        if framing is _CHUNKED or framing is _UNTIL_CLOSE:
            if self._version_10:
                self._close_after = True
            else:
                self._chunking = True
                fields = [*fields, (b"transfer-encoding", b"chunked")]
        elif framing is _NONE and b"content-length" not in response.index and self._has_body(status):
            fields = [*fields, (b"content-length", b"0")]  # HTTP/2 said it by END_STREAM
        if framing is _TUNNEL:
            if status == 101:
                fields = [*fields, (b"connection", b"Upgrade"), (b"upgrade", self._router.upgrade if self._router else b"")]
        elif self._close_after or self._reading is not _HEAD or self.scope.draining or self._leaving or self.options.limits_connection:
            self._read_by = NEVER  # if the request is not whole yet: its time does not count behind this, as in Envoy
            fields = self._last_or_not(fields)
        if self.options.proper_case:
            fields = wire.proper_case(fields)
        head = self._head_10(response, fields) if self._version_10 else wire.response_head(wire.STATUS_LINE[status], response.lines(fields))
        if self._router is not None:
            self._router.exchange.response_wire_bytes = len(head)
        self._out.append(head)

    def _has_body(self, status: int) -> bool:
        """Whether a client waits for a body behind a head that does not tell its length (RFC 9112 6.3)."""
        return status not in wire.BODILESS and not (self._router is not None and self._router.exchange.head.method == b"HEAD")

    def _head_10(self, response: ResponseHead, fields: Fields) -> bytes:
        """HTTP/1.0 connections end unless both sides say otherwise."""
        kept = fields if self._close_after else [*fields, (b"connection", b"keep-alive")]
        return wire.response_head(wire.STATUS_LINE_10[response.status], response.lines(kept))

    def _last_or_not(self, fields: Fields) -> Fields:
        """Decide whether this answer is the connection's last, and say so if it is."""
        if not self._close_after and not self._must_close():
            return fields
        self._close_after = True
        return [*fields, (b"connection", b"close")]

    def _must_close(self) -> bool:
        options = self.options
        router = self._router
        if self._leaving or (router is not None and not router.complete):
            return True
        if not self._queue and (self._reading is _STOPPED or self._reading is Reading.REFUSED):
            return True
        if self.scope.draining:
            options.stats.downstream_cx_drain_close += 1
            return True
        if options.max_requests_per_connection and self._served >= options.max_requests_per_connection:
            return True
        return bool(options.max_connection_duration) and self._runtime.loop.time() - self._started > options.max_connection_duration

    def send_body(self, data: bytes) -> None:
        self._out.append(wire.chunk(data) if self._chunking else data)

    def send_interim(self, response: ResponseHead) -> None:
        """Clients of HTTP/1.0 know no interim answers (RFC 9110 15.2)."""
        if not self._version_10:
            self._out.append(wire.response_head(wire.STATUS_LINE[response.status], response.lines(response.fields)))
            self.flush()

    def send_trailers(self, fields: Fields) -> None:
        """Dropped unless `enable_trailers` is set, as by Envoy (RFC 9110 6.5.1 lets a proxy do so)."""
        if self.options.enable_trailers:
            self._trailers = fields

    def flush(self) -> None:
        out = self._out
        if out:
            self._out = []
            if len(out[-1]) >= _LONG and len(out) > 1:
                self.options.stats.downstream_cx_tx_bytes_total += sum(map(len, out))
                self.transport.writelines(out)
                return
            data = out[0] if len(out) == 1 else b"".join(out)
            self.options.stats.downstream_cx_tx_bytes_total += len(data)
            self.transport.write(data)
