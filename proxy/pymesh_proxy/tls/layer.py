"""TLS between a socket and a connection, over `ssl.MemoryBIO`.

Our own layer rather than the loop's for three reasons (DESIGN, hot path rule 7): a failed handshake sends its alert (asyncio
drops it, and the peer sees a bare EOF), bytes read while sniffing can be fed in, and one write a turn goes out. Towards the
socket it is a protocol, towards the connection a transport.
"""

import asyncio
import contextlib
import enum
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ..errors import ProxyError
from ..wheel import NEVER, Wheel

if TYPE_CHECKING:
    from .peer import PeerCertificate

_READ = 64 * 1024
"""More than a TLS record (16 KiB), so that one call empties one."""


class PeerRejected(ProxyError):
    """The peer's certificate chain is sound, but it is not a peer we talk to; the message says which rule it broke."""


class State(enum.Enum):
    HANDSHAKE = "handshake"
    OPEN = "open"
    CLOSED = "closed"


class TlsLayer(asyncio.Transport, asyncio.Protocol):
    """One TLS connection; `on_ready` is called after the handshake and gives the protocol that speaks through it."""

    __slots__ = (
        "_end_told", "_incoming", "_on_failed", "_on_ready", "_on_session", "_outgoing", "_protocol", "_socket", "_tls", "_verify",
        "_wheel", "deadline", "peer", "state", "wake",
    )  # fmt: skip

    def __init__(
        self,
        context: ssl.SSLContext,
        wheel: Wheel,
        *,
        server_side: bool,
        server_name: str | None,
        verify: "Callable[[bytes | None], PeerCertificate | None]",
        on_ready: "Callable[[TlsLayer], asyncio.Protocol]",
        on_failed: Callable[[str], None],
        session: ssl.SSLSession | None = None,
        on_session: "Callable[[ssl.SSLSession, bool], None] | None" = None,
    ) -> None:
        super().__init__()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name, session=session)
        self._wheel = wheel
        self._verify = verify
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._on_session = on_session
        """Takes the session that a server gives, and whether it serves once only; None when none is looked for any more."""
        self._protocol: asyncio.Protocol | None = None
        self._socket: asyncio.Transport
        self._end_told = False
        """The protocol knows that the peer says no more."""
        self.peer: PeerCertificate | None = None
        self.state = State.HANDSHAKE
        self.deadline = self.wake = NEVER

    def __repr__(self) -> str:
        return f"<TlsLayer {self.state.name}>"

    @property
    def version(self) -> str:
        """`TLSv1.3`, as Envoy's DOWNSTREAM_TLS_VERSION prints it."""
        return self._tls.version() or ""

    @property
    def alpn(self) -> str:
        """The negotiated application protocol, empty if none."""
        return self._tls.selected_alpn_protocol() or ""

    @property
    def context(self) -> ssl.SSLContext:
        """The context in use, which the client's server name may have chosen."""
        return self._tls.context

    @property
    def resumed(self) -> bool:
        """Whether the handshake took up an earlier session."""
        return bool(self._tls.session_reused)

    @property
    def carrier(self) -> asyncio.Transport:
        """The socket's transport."""
        return self._socket

    # --- the socket's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        self._shake()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self.state is State.HANDSHAKE:
            self._shake()
        if self.state is State.OPEN:
            self._read()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert: it tells the peer what a bare EOF would hide
            self._fail(reason_of(error))
            return
        self._flush()
        try:
            self.peer = self._verify(self._tls.getpeercert(binary_form=True))
        except PeerRejected as rejected:
            self._fail(str(rejected))
            return
        self.state = State.OPEN
        self._wheel.arm(self, NEVER)
        self._protocol = self._on_ready(self)
        self._protocol.connection_made(self)
        if self._on_session is not None and self._tls.version() != "TLSv1.3":
            self._keep_session(once=False)

    def _fail(self, reason: str) -> None:
        self.state = State.CLOSED
        self._wheel.arm(self, NEVER)
        self._socket.close()
        self._on_failed(reason)

    def _read(self) -> None:
        protocol = self._protocol
        assert protocol is not None
        tls, incoming = self._tls, self._incoming
        try:
            while True:
                data = tls.read(incoming.pending or _READ)  # never less than its plaintext, and no 64 KiB buffer for a small one
                if not data:
                    self._peer_closed()
                    return
                protocol.data_received(data)
                if self._on_session is not None and self.state is State.OPEN:
                    self._keep_session(once=True)
                if self._protocol is not protocol:
                    protocol = cast(asyncio.Protocol, self._protocol)
                if not incoming.pending and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # where we have said goodbye before, Python tells the peer's so instead of by empty bytes
            self._peer_closed()
            return
        except ssl.SSLError as error:
            self._broken(error)
            return
        if self._outgoing.pending:
            self._flush()

    def _keep_session(self, *, once: bool) -> None:
        """TLS 1.2 has its session with the handshake, 1.3 when the server's tickets have come, which is before its first data."""
        session, on_session = self._tls.session, self._on_session
        self._on_session = None
        if session is not None and on_session is not None and session.has_ticket:
            on_session(session, once)

    def _broken(self, error: ssl.SSLError) -> None:
        self._flush()
        self.state = State.CLOSED
        self._socket.abort()
        if self._protocol is not None:
            protocol, self._protocol = self._protocol, None
            protocol.connection_lost(ConnectionResetError(f"TLS error: {reason_of(error)}"))

    def _peer_closed(self) -> None:
        """close_notify: the peer says no more."""
        if not self._end_told:
            self._end_told = True
            if self._protocol is not None and not self._protocol.eof_received():
                self.close()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.write(self._outgoing.read())

    def eof_received(self) -> bool:
        if self.state is State.HANDSHAKE:
            self._fail("the peer closed the connection during the TLS handshake")
            return False
        if self._end_told:  # the FIN that follows a close_notify; whoever did not want to go on has closed by now
            return not self._socket.is_closing()
        if self.state is State.OPEN and self._protocol is not None:
            self._end_told = True
            return bool(self._protocol.eof_received())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state is State.HANDSHAKE:
            self._fail("the connection was lost during the TLS handshake")
        self.state = State.CLOSED
        self._wheel.arm(self, NEVER)
        if self._protocol is not None:
            protocol, self._protocol = self._protocol, None
            protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def on_deadline(self, now: float) -> None:
        """The handshake takes too long."""
        if self.state is State.HANDSHAKE:
            self._fail("TLS handshake timeout")

    def limit_handshake(self, deadline: float) -> None:
        """Fail unless the handshake is over at this loop time."""
        if self.state is State.HANDSHAKE:
            self._wheel.arm(self, deadline)

    # --- the connection's side ----------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if self.state is not State.OPEN:
            return
        self._tls.write(data)
        self._socket.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """close_notify, then a FIN: the other direction stays open (RFC 8446 6.1)."""
        self._say_goodbye()
        if self._socket.can_write_eof() and not self._socket.is_closing():
            self._socket.write_eof()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # raised since the peer's close_notify is not waited for
            self._tls.unwrap()
        self._flush()

    def close(self) -> None:
        if self.state is State.OPEN and not self._socket.is_closing():
            self._say_goodbye()
        self._socket.close()

    def abort(self) -> None:
        self._socket.abort()

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def pause_reading(self) -> None:
        if not self._socket.is_closing():
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        if not self._socket.is_closing():
            self._socket.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words: `CERTIFICATE_VERIFY_FAILED: certificate has expired`."""
    reason = error.reason or type(error).__name__
    verify = getattr(error, "verify_message", "")
    return f"{reason}: {verify}" if verify else reason
