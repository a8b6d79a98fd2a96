"""SSL contexts from settings and secrets, for both sides; built when first needed and again when a secret has changed.

Connections that exist keep the context they began with: rotation touches new handshakes only, as in Envoy.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from pymesh.address import is_ip, of_authority

from ..errors import ProxyError
from ..wheel import Wheel
from . import verify
from .choice import Shown, by_name, first_of_each_kind, keys_of, shown
from .config import CertificateSource, DownstreamTls, TlsParameters, UpstreamTls, ValidationSource
from .counts import Handshakes
from .layer import State, TlsLayer
from .matcher import SanMatcher
from .override import TlsOverride
from .peer import PeerCertificate
from .pem import as_file, load_authorities, load_chain
from .secrets import Secrets
from .sessions import Sessions

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 suites: forward secrecy and AEAD only (the 1.3 ones need no choosing)."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds a client may take for its handshake when the chain sets no transport_socket_connect_timeout."""


class SecretsMissing(ProxyError):
    """The settings name a secret that SDS has not delivered yet."""


def _certificate(source: CertificateSource, secrets: Secrets) -> tuple[bytes, bytes]:
    if not source.secret:
        return source.chain, source.key
    value = secrets.get(source.secret)
    if value is None or not value.chain:
        raise SecretsMissing(f"Secret is not supplied by SDS: {source.secret}")
    return value.chain, value.key


def _trust(source: ValidationSource, secrets: Secrets) -> tuple[bytes, bytes, tuple[SanMatcher, ...]]:
    """CA bundle, CRL and SAN matchers; a secret's parts are merged over the inline ones (combined_validation_context)."""
    if not source.secret:
        return source.trusted_ca, source.crl, source.sans
    value = secrets.get(source.secret)
    if value is None or not value.trusted_ca:
        raise SecretsMissing(f"Secret is not supplied by SDS: {source.secret}")
    return value.trusted_ca, value.crl or source.crl, source.sans + value.sans


def _context(protocol: int, parameters: TlsParameters, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # identity is a SAN matcher's business, and a mesh name is a URI
    context.minimum_version = ssl.TLSVersion[parameters.minimum]
    context.maximum_version = ssl.TLSVersion[parameters.maximum]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if parameters.curve:
        context.set_ecdh_curve(parameters.curve)
    context.set_ciphers(":".join(parameters.ciphers) or _CIPHERS)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _load_trust(context: ssl.SSLContext, ca: bytes, crl: bytes) -> None:
    load_authorities(context, ca)
    if crl:
        with as_file(crl) as path:
            context.load_verify_locations(cafile=path)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    context.verify_flags |= _PARTIAL_CHAIN


_PARTIAL_CHAIN = getattr(ssl.VerifyFlags, "VERIFY_X509_PARTIAL_CHAIN", ssl.VerifyFlags.VERIFY_DEFAULT)
"""An intermediate may be the anchor (Envoy sets X509_V_FLAG_PARTIAL_CHAIN)."""


class _Side(ABC):
    """One side's context: built when first asked for, and again when a secret has changed since."""

    __slots__ = ("_context", "_sans", "_secrets", "_version", "_wheel")

    def __init__(self, secrets: Secrets, wheel: Wheel) -> None:
        self._secrets = secrets
        self._wheel = wheel
        self._context: ssl.SSLContext | None = None
        self._sans: tuple[SanMatcher, ...] = ()
        """The names that a peer may have, from settings and secret."""
        self._version = -1

    def context(self) -> ssl.SSLContext:
        """The context for a new connection; raises SecretsMissing."""
        if self._context is None or self._version != self._secrets.version:
            self._context = self._build()
            self._version = self._secrets.version
        return self._context

    @abstractmethod
    def _build(self) -> ssl.SSLContext:
        """A context from the settings and today's secrets; raises SecretsMissing."""


class ServerTls(_Side):
    """The server's side of one filter chain."""

    __slots__ = ("_by_name", "_config", "_principals", "_unmatched")

    def __init__(self, config: DownstreamTls, secrets: Secrets, wheel: Wheel) -> None:
        super().__init__(secrets, wheel)
        self._config = config
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._unmatched: ssl.SSLContext | None = None
        """For names that no certificate has; None leaves the context that the handshake began with."""
        self._principals: dict[ssl.SSLContext, str] = {}

    def _build(self) -> ssl.SSLContext:
        config = self._config
        if config.validation.verifies:
            ca, crl, self._sans = _trust(config.validation, self._secrets)
        else:
            ca = crl = b""
        certificates = [shown(*_certificate(source, self._secrets)) for source in config.certificates]
        self._principals = {}
        contexts: dict[tuple[Shown, ...], ssl.SSLContext] = {}

        def offering(chosen: tuple[Shown, ...]) -> ssl.SSLContext:
            if chosen not in contexts:
                contexts[chosen] = self._offering(chosen, ca, crl)
            return contexts[chosen]

        initial = offering(first_of_each_kind(certificates))
        if len(certificates) > 1:
            self._by_name = {name: offering(chosen) for name, chosen in by_name(certificates).items()}
            self._unmatched = None if config.scan_all else offering((certificates[0],))
        if len(certificates) > 1 or config.require_sni:
            initial.sni_callback = self._named
        return initial

    def _offering(self, certificates: tuple[Shown, ...], ca: bytes, crl: bytes) -> ssl.SSLContext:
        config = self._config
        context = _context(ssl.PROTOCOL_TLS_SERVER, config.parameters, config.alpn)
        for certificate in certificates:
            load_chain(context, certificate.chain, certificate.key)
        self._principals[context] = certificates[0].principal
        if config.prefer_client_ciphers:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if config.validation.verifies:
            _load_trust(context, ca, crl)
            context.verify_mode = ssl.CERT_REQUIRED if config.require_client_certificate else ssl.CERT_OPTIONAL
        if config.validation.verifies or not config.tickets:
            # A resumed session would outlive a change of the trust bundle (CVE-2022-21654): none is given out.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        return context

    def _named(self, tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """The client has said whom it wants to speak to (or nothing): show that one's certificate."""
        if name is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if self._config.require_sni else None
        for key in keys_of(name):
            if key in self._by_name:
                tls.context = self._by_name[key]
                return None
        if self._unmatched is not None:
            tls.context = self._unmatched
        return None

    def principal(self, layer: TlsLayer) -> str:
        """Our own SPIFFE id, as the certificate that this client was shown says it."""
        return self._principals.get(layer.context, "")

    def layer(self, on_ready: Callable[[TlsLayer], asyncio.Protocol], on_failed: Callable[[str], None]) -> TlsLayer:
        """A layer for one accepted connection; raises SecretsMissing."""
        context = self.context()
        return TlsLayer(
            context, self._wheel, server_side=True, server_name=None, verify=self._verify, on_ready=on_ready, on_failed=on_failed
        )

    def _verify(self, der: bytes | None) -> PeerCertificate | None:
        return verify.check(der, self._config.validation, self._sans)


class ClientLayer(TlsLayer):
    """A client's layer, which can be waited for."""

    __slots__ = ("_established",)

    _established: "asyncio.Future[None]"

    async def established(self) -> None:
        """The handshake is over; raises ConnectionError with the reason if it failed. Who waits no longer ends the connection."""
        try:
            await self._established
        except asyncio.CancelledError:
            self.state = State.CLOSED  # that is no failure of TLS
            self.abort()
            raise


class ClientTls(_Side):
    """The client's side of one cluster (or of one of its transport socket matches)."""

    __slots__ = ("_overridden", "_sessions", "config", "handshakes")

    def __init__(self, config: UpstreamTls, secrets: Secrets, wheel: Wheel, handshakes: Handshakes | None = None) -> None:
        super().__init__(secrets, wheel)
        self.config = config
        self.handshakes = handshakes or Handshakes()
        self._sessions = Sessions(config.sessions)
        self._overridden: dict[TlsOverride, ClientTls] = {}

    def overridden(self, override: TlsOverride) -> "ClientTls":
        """The same with what requests ask for; handshakes are counted together."""
        found = self._overridden.get(override)
        if found is None:
            made = ClientTls(override.over(self.config), self._secrets, self._wheel, self.handshakes)
            found = self._overridden[override] = made
        return found

    def _build(self) -> ssl.SSLContext:
        config = self.config
        self._sessions.clear()
        context = _context(ssl.PROTOCOL_TLS_CLIENT, config.parameters, config.alpn)
        for source in config.certificates:
            load_chain(context, *_certificate(source, self._secrets))
        if config.validation.verifies:
            ca, crl, self._sans = _trust(config.validation, self._secrets)
            _load_trust(context, ca, crl)
        elif not config.auto_san_validation:  # which trusts nobody where nobody is named, as in Envoy
            context.verify_mode = ssl.CERT_NONE
        return context

    def layer(self, protocol: asyncio.Protocol, hostname: str = "") -> ClientLayer:
        """A layer for one connection to be made to an endpoint, in front of `protocol`. Raises ConnectionError when secrets are missing."""
        try:
            context = self.context()
        except SecretsMissing as missing:
            raise ConnectionError(f"TLS error: {missing}") from missing
        config = self.config
        host = of_authority(hostname, 0).host if config.auto_sni or config.auto_san_validation else ""
        name = (config.auto_sni and not is_ip(host) and host) or (config.auto_host_sni and hostname) or config.sni
        established: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_ready(layer: TlsLayer) -> asyncio.Protocol:
            self.handshakes.good(resumed=layer.resumed)
            established.get_loop().call_soon(_settle, established)
            return protocol

        def on_failed(reason: str) -> None:
            self.handshakes.failed(reason)
            _fail(established, reason)

        layer = ClientLayer(
            context,
            self._wheel,
            server_side=False,
            server_name=name or None,
            verify=partial(verify.check, source=config.validation, sans=self._sans, host=host if config.auto_san_validation else ""),
            on_ready=on_ready,
            on_failed=on_failed,
            session=self._sessions.take(name or host),
            on_session=partial(self._keep, context, name or host) if config.sessions else None,
        )
        layer._established = established
        return layer

    def _keep(self, context: ssl.SSLContext, name: str, session: ssl.SSLSession, once: bool) -> None:
        """A server gave a session; one of a former context is of no use any more."""
        if context is self._context:
            self._sessions.keep(name, session, once=once)


def _settle(established: "asyncio.Future[None]") -> None:
    if not established.done():
        established.set_result(None)


def _fail(established: "asyncio.Future[None]", reason: str) -> None:
    if not established.done():
        established.set_exception(ConnectionError(f"TLS error: {reason}"))
