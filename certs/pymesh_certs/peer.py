"""Who is at the other end of a gRPC call, as far as TLS knows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio
from cryptography import x509

from pymesh.identity import SpiffeId

from . import svid
from .errors import AuthenticationFailed

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """The far end of an encrypted connection; `identity` is None when it showed no certificate."""

    identity: SpiffeId | None


PeerOf = Callable[[Context], TlsPeer | None]
"""None means that the call came in plaintext. Raises AuthenticationFailed for a certificate that names no workload."""


def from_auth_context(context: Context) -> TlsPeer | None:
    """The peer of a call whose TLS gRPC itself terminated."""
    facts = context.auth_context()
    if b"ssl" not in facts.get("transport_security_type", ()):
        return None
    pems = list(facts.get("x509_pem_cert", ()))
    if not pems:
        return TlsPeer(None)
    try:
        certificate = x509.load_pem_x509_certificate(pems[0])
    except ValueError as error:
        raise AuthenticationFailed(f"the certificate does not parse: {error}") from None
    return TlsPeer(svid.identity_of(certificate))
