"""TLS settings as configuration says them; contexts are built from these and from secrets, again whenever a secret changes."""

from dataclasses import dataclass, field

from .matcher import SanMatcher


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSource:
    """A key pair: named by SDS, or inline as PEM."""

    secret: str = ""
    chain: bytes = b""
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSource:
    """How a peer is verified. No `trusted_ca` and no `secret` means that it is not."""

    secret: str = ""
    trusted_ca: bytes = b""
    crl: bytes = b""
    sans: tuple[SanMatcher, ...] = ()
    """Any match passes; empty means every SAN does."""
    spki: tuple[str, ...] = ()
    """verify_certificate_spki: base64 SHA-256 of the public key; any match passes."""
    hashes: tuple[str, ...] = ()
    """verify_certificate_hash: lower-case hex SHA-256 without colons; any match passes."""

    @property
    def verifies(self) -> bool:
        return bool(self.secret or self.trusted_ca)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsParameters:
    """Versions are `TLSv1_2` or `TLSv1_3`; empty ciphers mean the default AEAD suites."""

    minimum: str = "TLSv1_2"
    maximum: str = "TLSv1_3"
    ciphers: tuple[str, ...] = ()
    curve: str = ""
    """The one group that is offered, by OpenSSL's name; empty means OpenSSL's list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownstreamTls:
    """A DownstreamTlsContext."""

    certificates: tuple[CertificateSource, ...]
    validation: ValidationSource = field(default_factory=ValidationSource)
    require_client_certificate: bool = False
    alpn: tuple[str, ...] = ()
    parameters: TlsParameters = field(default_factory=TlsParameters)
    require_sni: bool = False
    prefer_client_ciphers: bool = False
    scan_all: bool = False
    """full_scan_certs_on_sni_mismatch: a name that no certificate has is treated like none."""
    tickets: bool = True
    """Off by disable_stateless_session_resumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """An UpstreamTlsContext. Envoy's client speaks at most TLS 1.2 unless told otherwise; the compiler keeps that default."""

    certificates: tuple[CertificateSource, ...] = ()
    validation: ValidationSource = field(default_factory=ValidationSource)
    sni: str = ""
    auto_host_sni: bool = False
    """The server name is the endpoint's hostname where it has one."""
    auto_sni: bool = False
    """The server name is the host that requests name, unless that is an IP; each endpoint is one such host."""
    auto_san_validation: bool = False
    """The server's certificate has to be for that host, besides all else."""
    sessions: int = 1
    """max_session_keys: how many sessions are kept to be resumed."""
    alpn: tuple[str, ...] = ()
    parameters: TlsParameters = field(default_factory=TlsParameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretValue:
    """One SDS secret: either a key pair or a validation context."""

    name: str
    chain: bytes = b""
    key: bytes = field(default=b"", repr=False)
    trusted_ca: bytes = b""
    crl: bytes = b""
    sans: tuple[SanMatcher, ...] = ()
