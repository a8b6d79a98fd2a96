"""Asking a CA for a certificate: Istio's service over TLS, with a join token the first time and the current certificate after."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import grpc
import grpc.aio

from . import messages
from .errors import CaRefused, CaUnavailable
from .messages import CertificateRequest, CertificateResponse

DEADLINE = 10.0
"""Seconds from the call to the certificate, the connection included; signing takes milliseconds."""

_REFUSALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT})


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its key, both PEM."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


class Ca(Protocol):
    """Whoever can turn a signing request into a chain."""

    async def sign(self, csr_pem: bytes, ttl: timedelta, current: KeyPair | None) -> tuple[str, ...]:
        """The chain, leaf first and root bundle last; raises CaUnavailable or CaRefused."""


class CaClient:
    """A CA at `address` (host:port) whose server certificate must lead to `roots_pem` and name that host.

    Both `roots_pem` and `token` are called anew each time and may raise OSError, because they usually read files that whoever
    mounted them replaces. A connection is made for each call: one a day needs no pool, and the root may have changed.
    """

    def __init__(
        self,
        address: str,
        roots_pem: Callable[[], bytes],
        token: Callable[[], str],
        *,
        server_name: str | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._address = address
        self._roots_pem = roots_pem
        self._token = token
        self._options = [("grpc.ssl_target_name_override", server_name)] if server_name else []
        self._deadline = deadline

    async def sign(self, csr_pem: bytes, ttl: timedelta, current: KeyPair | None) -> tuple[str, ...]:
        """See `Ca.sign`. With `current` that certificate is shown in the handshake, else the token is sent: never both."""
        metadata = self._bearer() if current is None else ()
        request = CertificateRequest(csr_pem.decode(), round(ttl.total_seconds()))
        async with grpc.aio.secure_channel(self._address, self._credentials(current), options=self._options) as channel:
            call = channel.unary_unary(
                messages.METHOD,
                request_serializer=CertificateRequest.to_bytes,
                response_deserializer=CertificateResponse.from_bytes,
            )
            try:
                response = await call(request, timeout=self._deadline, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise _mapped(error, self._address, bool(metadata)) from None
        if len(response.chain) < 2:
            raise CaRefused(f"the CA at {self._address} sent {len(response.chain)} certificates, not a leaf and its root")
        return response.chain

    def _credentials(self, current: KeyPair | None) -> grpc.ChannelCredentials:
        try:
            roots = self._roots_pem()
        except OSError as error:
            raise CaUnavailable(f"the CA's root cannot be read: {error}") from None
        if b"-----BEGIN CERTIFICATE-----" not in roots:  # gRPC would take the public web's roots instead of none
            raise CaUnavailable("the CA's root holds no PEM certificate")
        if current is None:
            return grpc.ssl_channel_credentials(roots)
        return grpc.ssl_channel_credentials(roots, current.key_pem, current.chain_pem)

    def _bearer(self) -> tuple[tuple[str, str], ...]:
        try:
            token = self._token().strip()
        except OSError as error:
            raise CaUnavailable(f"the join token cannot be read: {error}") from None
        except UnicodeDecodeError:
            raise CaUnavailable("the join token is no text") from None
        if not (token.isascii() and token.isprintable()):
            raise CaUnavailable("the join token holds characters that no token has")
        return (("authorization", f"Bearer {token}"),) if token else ()


def _mapped(error: grpc.aio.AioRpcError, address: str, has_token: bool) -> CaRefused | CaUnavailable:
    sentence = f"the CA at {address} answered {error.code().name}: {error.details()}"
    if error.code() is grpc.StatusCode.UNAUTHENTICATED and has_token:
        sentence += " (has the join token expired?)"
    return CaRefused(sentence) if error.code() in _REFUSALS else CaUnavailable(sentence)
