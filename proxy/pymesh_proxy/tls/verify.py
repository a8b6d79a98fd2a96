"""Whether a peer's certificate, whose chain OpenSSL has verified, names someone we talk to.

Subject alternative names, key and certificate pins as Envoy's CertificateValidationContext; and for a SPIFFE certificate the
rules of X509-SVID that Envoy's plain validator lets slip: exactly one URI, a well-formed id, no authority of its own.
"""

import base64
import hashlib
import ssl
import time
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pymesh import identity

from .config import ValidationSource
from .layer import PeerRejected
from .matcher import SanMatcher, names_host
from .peer import PeerCertificate

_KINDS = ((x509.UniformResourceIdentifier, "URI"), (x509.DNSName, "DNS"), (x509.RFC822Name, "EMAIL"))
_KEY_TYPES = {x509.PublicKeyAlgorithmOID.EC_PUBLIC_KEY: "EC", x509.PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5: "RSA"}


@lru_cache(maxsize=4096)
def read(der: bytes) -> tuple[PeerCertificate, tuple[tuple[str, str], ...], str, str]:
    """The certificate's facts, its `(kind, name)` pairs, its SPKI pin, and what is wrong with it as an SVID (empty: nothing)."""
    certificate = x509.load_der_x509_certificate(der)
    names = _names(certificate)
    uris = tuple(name for kind, name in names if kind == "URI")
    key = certificate.public_key()
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    facts = PeerCertificate(
        uri_sans=uris,
        dns_sans=tuple(name for kind, name in names if kind == "DNS"),
        subject=certificate.subject.rfc4514_string(),
        common_name=str(common[0].value) if common else "",
        key_type=_KEY_TYPES.get(certificate.public_key_algorithm_oid, "other"),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        sha256=hashlib.sha256(der).hexdigest(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        der=der,
    )
    pin = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    return facts, names, pin, _svid_fault(certificate, uris)


def leaf(chain: bytes) -> PeerCertificate:
    """The facts of the first certificate of a PEM chain, whatever text stands before it (RFC 7468 2)."""
    _, begin, rest = chain.decode("ascii", "ignore").partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----")
    return read(ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}\n"))[0]


def _names(certificate: x509.Certificate) -> tuple[tuple[str, str], ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    pairs = [(kind, name.value) for name in found for general, kind in _KINDS if isinstance(name, general)]
    pairs += [("IP_ADDRESS", str(address)) for address in found.get_values_for_type(x509.IPAddress)]
    return tuple(pairs)


def _svid_fault(certificate: x509.Certificate, uris: tuple[str, ...]) -> str:
    if not any(uri.lower().startswith("spiffe:") for uri in uris):
        return ""
    if len(uris) != 1:
        return "a SPIFFE certificate has exactly one URI SAN"
    try:
        identity.parse(uris[0])
    except identity.InvalidSpiffeId as fault:
        return str(fault)
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            return "a workload's certificate is not a CA's"
        if isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign):
            return "a workload's key may not sign certificates"
    return ""


def check(der: bytes | None, source: ValidationSource, sans: tuple[SanMatcher, ...], host: str = "") -> PeerCertificate | None:
    """The peer's facts; None when it showed no certificate. `host` is whom the certificate has to be for. Raises PeerRejected."""
    if der is None:
        return None
    facts, names, pin, fault = read(der)
    if host and not names_host(names, host):
        raise PeerRejected(f"SAN list: certificate SANs are {[name for _, name in names]}, wanted {host!r}")
    if not source.verifies:
        return facts
    if facts.not_after < time.time():  # OpenSSL does not look again when TLS 1.2 resumes a session by its id
        raise PeerRejected("the certificate has expired since the session began")
    if fault:
        raise PeerRejected(f"SPIFFE: {fault}")
    if sans and not any(matcher.matches(names) for matcher in sans):
        raise PeerRejected(f"SAN matcher: certificate SANs are {[name for _, name in names]}, wanted {[matcher.text for matcher in sans]}")
    if source.spki and pin not in source.spki:
        raise PeerRejected("certificate hash: the public key is not a pinned one")
    if source.hashes and facts.sha256 not in source.hashes:
        raise PeerRejected("certificate hash: the certificate is not a pinned one")
    return facts
