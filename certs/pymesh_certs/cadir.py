"""The files of a CA, in the form of Istio's `cacerts` secret: made when absent, checked when present.

`ca-key.pem` and `ca-cert.pem` sign; `cert-chain.pem` leads from `ca-cert.pem` to `root-cert.pem`. Self-made ones are a root
that is all three certificates; an operator who keeps the root offline puts an intermediate there instead.
"""

import itertools
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from . import files, keys, template
from .errors import FileUnusable

ROOT_LIFE = timedelta(days=3650)
KEY, CERTIFICATE, ROOT, CHAIN = "ca-key.pem", "ca-cert.pem", "root-cert.pem", "cert-chain.pem"


def prepare(directory: Path, trust_domain: str, now: datetime) -> None:
    """Make a self-signed root unless the directory already holds a CA.

    The key is written first and nothing is signed before the certificates follow, so a start that was cut short is finished
    by the next one with the same key.
    """
    if (directory / CERTIFICATE).exists():
        return  # a mounted secret is read-only, so not even the lock is made
    with files.locked(directory):
        if (directory / CERTIFICATE).exists():
            return  # another process was faster
        if not (directory / KEY).exists() and any((directory / name).exists() for name in (ROOT, CHAIN)):
            raise FileUnusable(
                f"{directory} holds {ROOT} or {CHAIN} but neither {KEY} nor {CERTIFICATE}; a plug-in CA needs all four files"
            )
        key = _key(directory) if (directory / KEY).exists() else keys.generate()
        files.write(directory / KEY, keys.to_pem(key))
        pem = template.root(key, trust_domain, now, ROOT_LIFE).public_bytes(Encoding.PEM)
        # ca-cert.pem comes last because its presence is what says that the directory is complete.
        for name in (ROOT, CHAIN, CERTIFICATE):
            files.write(directory / name, pem)


def load(directory: Path, now: datetime) -> tuple[template.Signer, list[x509.Certificate], list[x509.Certificate]]:
    """The signer, the intermediates that clients need (its own certificate first), and the roots. Raises FileUnusable."""
    certificate = _certificates(directory / CERTIFICATE)[0]
    signer = template.Signer(certificate, _key(directory))
    roots = _certificates(directory / ROOT)
    path = [certificate, *(found for found in _certificates(directory / CHAIN) if found != certificate)]
    _check_signer(directory, signer, now)
    _check_path(directory, path, roots)
    return signer, [found for found in path if found not in roots], roots


def _key(directory: Path) -> keys.PrivateKey:
    path = directory / KEY
    return keys.from_pem(files.read_private(path), str(path))


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(files.read(path))
    except ValueError:
        raise FileUnusable(f"{path} holds no PEM certificate") from None


def _check_signer(directory: Path, signer: template.Signer, now: datetime) -> None:
    certificate = signer.certificate
    if certificate.public_key() != signer.key.public_key():
        raise FileUnusable(f"{directory / KEY} is not the key of {CERTIFICATE}")
    try:
        may_sign = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        may_sign = may_sign and certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        may_sign = False
    if not may_sign:
        raise FileUnusable(f"{directory / CERTIFICATE} is no CA certificate (CA:TRUE and keyCertSign)")
    if certificate.not_valid_after_utc <= now:
        raise FileUnusable(f"{directory / CERTIFICATE} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def _check_path(directory: Path, path: list[x509.Certificate], roots: list[x509.Certificate]) -> None:
    """Each certificate must be issued by the next, and the last by (or be) a root."""
    for lower, upper in itertools.pairwise(path):
        if lower not in roots and not _issued(upper, lower):
            raise FileUnusable(f"{directory / CHAIN}: {lower.subject.rfc4514_string()!r} is not issued by the certificate after it")
    top = path[-1]
    if top not in roots and not any(_issued(anchor, top) for anchor in roots):
        raise FileUnusable(f"{directory / CHAIN} does not lead to {ROOT}")


def _issued(upper: x509.Certificate, lower: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
