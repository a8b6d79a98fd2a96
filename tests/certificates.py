"""Certificates for tests of TLS: an authority, and key pairs of any type and names."""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)
_USAGES = {"server": x509.ExtendedKeyUsageOID.SERVER_AUTH, "client": x509.ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    chain: bytes
    key: bytes


class Authority:
    """Signs what tests want."""

    def __init__(self, name: str = "test root") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])
        validity = (_NOW - _DAY, _NOW + _DAY)
        builder = x509.CertificateBuilder(self._name, self._name, self._key.public_key(), x509.random_serial_number(), *validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def pair(
        self, *names: str, common: str = "leaf", kind: str = "EC", days: tuple[float, float] = (-1, 1), usage: tuple[str, ...] = ()
    ) -> Pair:
        """A leaf for DNS names, or URIs where a name has a scheme. `days` from now that it is valid from and to; `usage` is the
        extended one, `server` and `client`."""
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
        validity = [_NOW + day * _DAY for day in days]
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number(), *validity)
        if names:
            general = [x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([_USAGES[each] for each in usage]), critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Pair(leaf.public_bytes(serialization.Encoding.PEM), private)
