"""The words between the two connections of an exchange: how far it is, how bodies end, what the client's side can do."""

import asyncio
import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from .headers import Fields, ResponseHead

if TYPE_CHECKING:
    from ..tls.peer import PeerCertificate
    from .attempts import Attempts


class Phase(enum.IntEnum):
    """How far an exchange is.

    ROUTING -> CONNECTING -> WAITING (request goes up, no answer yet) -> ANSWERING (answer goes down) -> DONE
                    ^------------ another attempt ----------'
    """

    ROUTING = 0
    CONNECTING = 1
    WAITING = 2
    ANSWERING = 3
    DONE = 4


class Framing(enum.Enum):
    """How the end of a body is told."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    TUNNEL = "no body: bytes of another protocol, both ways, until an end closes"


class DownstreamStream(Protocol):
    """What a router needs of the client's side, whatever protocol it speaks.

    Its classes name it as a base: compiled, a call is then one through a table rather than a look-up of a name
    (`python -m tests.bench.instructions grpc` counts some 250 for each of eleven calls).
    """

    __slots__ = ()

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        """The answer's head; framing says how the upstream's body ends."""

    def send_interim(self, response: ResponseHead) -> None:
        """A 1xx answer before the final one."""

    def send_body(self, data: bytes) -> None:
        """A piece of the answer's body."""

    def flush(self) -> None:
        """Send what is held back."""

    def send_trailers(self, fields: Fields) -> None:
        """The answer's trailers; `finish` follows."""

    def finish(self) -> None:
        """The answer is complete and the exchange has been observed."""

    def abort(self) -> None:
        """The answer cannot be completed; the client must notice."""

    def pause_request(self) -> None:
        """Stop reading the request's body."""

    def resume_request(self) -> None:
        """Go on reading it."""

    def arm(self, deadline: float) -> None:
        """Call on_deadline at this loop time, replacing the former one."""

    def tunnel(self, connection: "UpstreamRequest", early: bytes) -> None:
        """The answer was 101, or 2xx to a CONNECT: from here on bytes go both ways unread."""


class RequestCopy(Protocol):
    """A copy of a request on its way to another cluster, as the request sees it."""

    def body(self, data: bytes, end: bool) -> None:
        """A piece of the request's body; `end`: it is the last, and no trailers follow."""

    def end(self, trailers: Fields | None) -> None:
        """The request is complete."""

    def leave(self) -> None:
        """The request is over before it was complete."""


class UpstreamRequest(Protocol):
    """What an exchange needs of the upstream's side, whatever protocol it speaks: a connection, or a stream of one."""

    __slots__ = ()

    local_address: str
    """`ip:port` of our end."""
    peer: "PeerCertificate | None"
    """The upstream's verified certificate, on TLS."""

    def start(self, attempts: "Attempts", body: list[bytes] | None) -> None:
        """Send the exchange's head, what there is of its body, and if the exchange is complete its end."""

    def send_body(self, data: bytes, end: bool) -> None:
        """A piece of the request's body; `end`: it is the last, and no trailers follow."""

    def send_end(self) -> None:
        """The request is complete; its trailers, if any, are the exchange's."""

    def pause_reading(self) -> None:
        """The client reads slowly."""

    def resume_reading(self) -> None:
        """It has caught up."""

    def discard(self) -> None:
        """The exchange gives up on this request: it is cut off, and nothing of it is heard again."""

    def leave(self) -> asyncio.Transport:
        """Behind a protocol switch: what carries the bytes from here on. It still counts, until `left`."""

    def left(self) -> None:
        """What was handed over has ended."""


class UpstreamStream(ABC):
    """What a connection to an upstream needs of the exchange that it serves."""

    __slots__ = ()

    @abstractmethod
    def on_interim(self, response: ResponseHead) -> None:
        """A 1xx answer other than 101; the final one follows."""

    @abstractmethod
    def on_head(self, response: ResponseHead, framing: Framing) -> None:
        """The upstream's answer begins."""

    @abstractmethod
    def on_body(self, data: bytes) -> None:
        """A piece of the answer's body."""

    @abstractmethod
    def on_trailers(self, fields: Fields) -> None:
        """The answer's trailers; `on_end` follows."""

    @abstractmethod
    def on_end(self) -> None:
        """The answer is complete; the connection looks after itself."""

    @abstractmethod
    def on_tunnel(self, response: ResponseHead, early: bytes) -> None:
        """The upstream agreed to a tunnel, with 101 or with 2xx to a CONNECT; `early` came behind its answer."""

    @abstractmethod
    def on_broken(self, reason: str) -> None:
        """The upstream died in the middle of its answer."""

    @abstractmethod
    def flush(self) -> None:
        """Nothing more comes in this turn."""

    @abstractmethod
    def pause_upload(self) -> None:
        """The upstream reads slowly."""

    @abstractmethod
    def resume_upload(self) -> None:
        """The upstream has caught up."""
