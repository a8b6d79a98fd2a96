"""One stream: its state, its two windows, what waits to be sent, and the hooks by which it tells its owner.

Receiving: windows are given back by `consumed`, so a receiver that is slow makes the peer wait. Sending: what the windows or the
transport do not take waits here, `send_data` says when the source should pause, and `on_writable` when it may go on.
"""

import enum
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from .errors import Malformed, StreamBroken
from .fields import NO_LENGTH
from .frames import DEFAULT_MAX_FRAME_SIZE, END_STREAM, FLOW_CONTROL_ERROR, MAX_WINDOW, PROTOCOL_ERROR, pack_header
from .hpack import Fields

if TYPE_CHECKING:
    from .connection import H2Connection


class State(enum.IntEnum):
    """RFC 9113 5.1, as two bits: which directions have ended. An idle stream has no object."""

    OPEN = 0
    HALF_CLOSED_LOCAL = 1
    HALF_CLOSED_REMOTE = 2
    CLOSED = 3


LOCAL: Final = 1
REMOTE: Final = 2
CLOSED: Final = 3


@mypyc_attr(allow_interpreted_subclasses=True)
class H2Stream(ABC):
    """Base of what the two roles make of a stream; `on_*` are theirs to define."""

    __slots__ = (
        "_held", "_length", "_offset", "_outbox", "_outbox_size", "_owed", "_send_end", "_trailers", "answered", "bodiless", "connection",
        "full", "head_received", "id", "parting", "queued", "receive_window", "send_window", "started", "state",
    )  # fmt: skip

    def __init__(self, connection: "H2Connection", stream_id: int = 0) -> None:
        """`stream_id` is the peer's; a stream of our own gets one with its first HEADERS."""
        self.connection = connection
        self.id = stream_id
        self.state = 0
        """A State, as the plain int that the hot path computes with."""
        self.send_window = connection.peer.initial_window_size
        self.receive_window = connection.stream_window
        """What the peer may still send."""
        self.started = 0.0
        """Loop time of the peer's HEADERS."""
        self.answered = False
        """Our final head has gone out (a server's)."""
        self.head_received = False
        """The peer's final head has come."""
        self.bodiless = False
        """The answer's content-length tells of no body that comes: set by a client that asks with HEAD."""
        self.full = False
        """The source was told to pause."""
        self.parting = -1
        """The code with which the stream is reset when our END_STREAM has gone and the peer's has not come; -1 to wait for it."""
        self.queued = False
        """The connection will ask this stream for data."""
        self._length = NO_LENGTH
        """Body octets that the peer has announced and not sent yet."""
        self._held = 0
        """Octets that were handed to `on_data` and not yet `consumed`."""
        self._owed = 0
        """Octets consumed that the stream's window has not been given back for."""
        self._outbox: deque[bytes] | None = None
        """What waits to be sent; most streams never need one."""
        self._outbox_size = 0
        self._offset = 0
        """How much of the first piece has been sent."""
        self._send_end = False
        """END_STREAM follows the outbox."""
        self._trailers: Fields | None = None
        """They follow the outbox, and end the stream."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {State(self.state).name} send={self.send_window} outbox={self._outbox_size}>"

    # --- hooks --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def on_headers(self, fields: Fields, end: bool) -> None:
        """A field section in order: the head, interim heads before it, trailers. The list is shared: copy it to edit it."""

    @abstractmethod
    def on_data(self, data: bytes, end: bool) -> None:
        """A piece of the body, possibly empty; to be answered by `consumed(len(data))` when it has been passed on."""

    @abstractmethod
    def on_reset(self, code: int) -> None:
        """The peer has ended the stream, or made it end by an error of its own: nothing more comes, nothing more can be sent."""

    @abstractmethod
    def on_lost(self, reason: str) -> None:
        """The connection has ended under the stream."""

    @abstractmethod
    def on_writable(self) -> None:
        """After `send_data` said False: there is room again."""

    def on_violation(self, code: int) -> None:
        """The peer has broken a rule on this stream, and was told so by RST_STREAM: the same end as by its own."""
        self.on_reset(code)

    def linger(self) -> None:  # noqa: B027  an optional hook
        """The owner is done; what windows hold back still goes out."""

    # --- sending ------------------------------------------------------------------------------------------------------

    def send_headers(self, fields: Fields, end: bool) -> None:
        """The head, an interim head, or trailers (`end`), in the order of the calls. Nothing happens on a stream that has ended."""
        if self.state & LOCAL:
            return
        connection = self.connection
        if self.id == 0:
            connection.start(self)
        if self._outbox:
            self._trailers = fields
            return
        connection.write_headers(self.id, fields, end)
        if not self.answered:
            self.answered = fields[0][1] >= b"2"  # :status comes first; an interim answer is none yet
        if end:
            self.end_local()

    def send_data(self, data: bytes, end: bool) -> bool:
        """A piece of the body. False: pause the source until `on_writable`."""
        if self.state & LOCAL or not (data or end):
            return True
        connection = self.connection
        size = len(data)
        if (
            size <= self.send_window
            and size <= connection.send_window
            and size <= DEFAULT_MAX_FRAME_SIZE
            and not self._outbox
            and not connection.paused
        ):
            self.send_window -= size
            connection.write_data(pack_header(size << 8, 1 if end else 0, self.id), data)
            if end:
                self.end_local()
            return True
        if self._outbox is None:
            self._outbox = deque()
        if size or not self._outbox:
            self._outbox.append(data)
            self._outbox_size += size
            connection.held += size
        self._send_end = end
        connection.queue(self)
        if connection.held > connection.high_water or connection.paused:
            self.full = True
            return False
        return True

    def send_some(self, limit: int) -> int:
        """For the connection's turn-taking: one frame of at most `limit` octets; how many it had. `queued` tells whether more can go."""
        outbox = self._outbox
        assert outbox
        limit = min(limit, max(self.send_window, 0))
        if limit == 0 and self._outbox_size:
            self.queued = False  # until the window opens
            return 0
        data = self._take(outbox, limit)
        size = len(data)
        self._outbox_size -= size
        self.send_window -= size
        self.connection.held -= size
        last = not outbox
        end = last and self._send_end
        self.connection.write_data(pack_header(size << 8, END_STREAM if end else 0, self.id), data)
        if last:
            self.queued = False
            self._drained(end)
        return size

    def _take(self, outbox: deque[bytes], limit: int) -> bytes:
        """Up to `limit` octets; pieces that are small travel together."""
        first = outbox[0]
        offset = self._offset
        size = len(first) - offset
        if size > limit:
            self._offset += limit
            return first[offset : offset + limit]
        self._offset = 0
        outbox.popleft()
        parts = [first[offset:] if offset else first]
        while outbox and size + len(outbox[0]) <= limit:
            size += len(outbox[0])
            parts.append(outbox.popleft())
        return b"".join(parts)

    def _drained(self, end: bool) -> None:
        trailers, self._trailers = self._trailers, None
        if trailers is not None:
            self.send_headers(trailers, True)
        elif end:
            self.end_local()

    def refresh(self) -> None:
        """The outbox may have become shorter: let the source go on if it waits for that.

        While the connection holds too much, a stream with something left to send stays full, however little that is: its window may
        never open, and many such streams would each fill up.
        """
        size = self._outbox_size
        if not self.full or self.state & LOCAL:
            return
        connection = self.connection
        if not size or (size <= connection.low_water and connection.held <= connection.high_water):
            self.full = False
            self.on_writable()

    def reset(self, code: int) -> None:
        """End the stream with RST_STREAM; no hook is called any more."""
        if self.state != CLOSED:
            if self.id:
                self.connection.write_reset(self.id, code)
            self.close()

    @property
    def unsent(self) -> int:
        """Octets that wait for a window, or for the transport."""
        return self._outbox_size

    def open_window(self, increment: int) -> None:
        """WINDOW_UPDATE, or a change of the peer's initial window (then perhaps negative)."""
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise StreamBroken(FLOW_CONTROL_ERROR, "a send window of more than 2^31-1")
        if self._outbox and self.send_window > 0:
            self.connection.queue(self)

    # --- receiving ----------------------------------------------------------------------------------------------------

    def consumed(self, size: int) -> None:
        """`size` octets of `on_data` have been passed on: the peer may send as many more."""
        size = min(size, self._held)
        self._held -= size
        connection = self.connection
        connection.credit(size)
        if not self.state & REMOTE:
            self._owed += size
            if self._owed * 2 >= connection.stream_window:
                self.receive_window += self._owed
                connection.write_window_update(self.id, self._owed)
                self._owed = 0

    def receive_head(self, fields: Fields, end: bool, length: int) -> None:
        """For the connection: a final head with its content length."""
        self.head_received = True
        self._length = 0 if self.bodiless else length
        if end:
            if self._length > 0:
                raise Malformed(f"a content-length of {self._length} and no DATA")
            self.end_remote()
        self.on_headers(fields, end)

    def receive_trailers(self, fields: Fields) -> None:
        """For the connection."""
        self._end_of_body()
        self.end_remote()
        self.on_headers(fields, True)

    def receive_data(self, data: bytes, padding: int, end: bool) -> None:
        """For the connection, which has counted the frame against both windows."""
        size = len(data)
        self._held += size + padding
        if self._length >= 0:
            self._length -= size
            if self._length < 0:
                raise StreamBroken(PROTOCOL_ERROR, "more DATA than the content-length")
        if padding:
            self.consumed(padding)
        if end:
            self._end_of_body()
            self.end_remote()
        self.on_data(data, end)

    def _end_of_body(self) -> None:
        if self._length > 0:
            raise StreamBroken(PROTOCOL_ERROR, f"{self._length} octets of DATA less than the content-length")

    # --- state --------------------------------------------------------------------------------------------------------

    def end_local(self) -> None:
        """END_STREAM was sent."""
        self.state |= LOCAL
        if self.state == CLOSED:
            self.connection.forget(self)
        elif self.parting >= 0:
            self.reset(self.parting)

    def end_remote(self) -> None:
        """END_STREAM was received."""
        self.state |= REMOTE
        if self.state == CLOSED:
            self.connection.forget(self)

    def close(self) -> None:
        """RST_STREAM was sent or received, or the connection is gone: what is held here goes, and its share of the connection's
        window is given back."""
        self.state = CLOSED
        self.connection.held -= self._outbox_size
        self._outbox = None
        self._outbox_size = 0
        self._trailers = None
        held, self._held = self._held, 0
        self.connection.credit(held)
        self.connection.forget(self)
