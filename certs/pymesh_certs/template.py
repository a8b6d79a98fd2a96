"""What our certificates say: the root, a workload's leaf (X509-SVID) and the control plane's server certificate.

Pure: the same arguments but for the random serial give the same certificate.
"""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pymesh.identity import SpiffeId

from .keys import PrivateKey, PublicKey

BACKDATE = timedelta(minutes=2)
"""Istio's allowance for a peer whose clock runs behind ours."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


def root(key: PrivateKey, trust_domain: str, now: datetime, life: timedelta) -> x509.Certificate:
    """A self-signed CA certificate with Istio's subject (`O=<trust domain>`)."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain)])
    builder = _builder(name, name, key.public_key(), now, now + life)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    return builder.sign(key, hashes.SHA256())


def workload(signer: Signer, key: PublicKey, spiffe: SpiffeId, now: datetime, end: datetime) -> x509.Certificate:
    """An X509-SVID: the SPIFFE id as the only SAN, critical because the subject is empty (RFC 5280, 4.2.1.6)."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(spiffe))])
    # SPIFFE's X509-SVID section 4.4: with an extended key usage, a leaf must be good for both ends of a connection.
    return _leaf(signer, key, names, (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH), now, end)


def server(signer: Signer, key: PublicKey, dns_names: Sequence[str], ips: Sequence[str], now: datetime, end: datetime) -> x509.Certificate:
    """A certificate for a server that clients know by DNS name or address."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
    return _leaf(signer, key, x509.SubjectAlternativeName(names), (ExtendedKeyUsageOID.SERVER_AUTH,), now, end)


def _leaf(
    signer: Signer,
    key: PublicKey,
    names: x509.SubjectAlternativeName,
    purposes: Sequence[x509.ObjectIdentifier],
    now: datetime,
    end: datetime,
) -> x509.Certificate:
    builder = _builder(signer.certificate.subject, x509.Name([]), key, now, end)
    builder = builder.add_extension(names, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPublicKey)), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(_authority_key(signer.certificate), critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def _builder(issuer: x509.Name, subject: x509.Name, key: PublicKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(secrets.randbits(127) | 1)  # positive, never zero, and at most 16 octets when encoded
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _usage(
    *, digital_signature: bool = False, key_encipherment: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
