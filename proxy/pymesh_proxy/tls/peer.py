"""A verified peer certificate, parsed once per connection into the facts that routing, policy, headers and logs ask for."""

import math
import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """Facts of a peer's leaf certificate."""

    uri_sans: tuple[str, ...] = ()
    dns_sans: tuple[str, ...] = ()
    subject: str = ""
    """RFC 2253 order, as x-forwarded-client-cert prints it."""
    common_name: str = ""
    key_type: str = ""
    """`RSA`, `EC` or another algorithm's name."""
    issuer: str = ""
    serial: str = ""
    sha256: str = ""
    """Lower-case hex of the DER's SHA-256."""
    not_after: float = math.inf
    """Unix seconds."""
    der: bytes = field(default=b"", repr=False)

    @property
    def pem(self) -> str:
        """The certificate as PEM text."""
        return ssl.DER_cert_to_PEM_cert(self.der)

    @property
    def principal(self) -> str:
        """The first URI SAN: the SPIFFE id inside a mesh."""
        return self.uri_sans[0] if self.uri_sans else ""
