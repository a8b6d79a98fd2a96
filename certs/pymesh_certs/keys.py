"""Private keys: made, written as PEM, read from PEM."""

import resource

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from .errors import FileUnusable

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def generate(rsa_bits: int | None = None) -> PrivateKey:
    """A new EC P-256 key, or an RSA key of that many bits."""
    if rsa_bits is None:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)


def to_pem(key: PrivateKey) -> bytes:
    """PKCS#8, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def from_pem(pem: bytes, source: str) -> PrivateKey:
    """The key in `pem`; raises FileUnusable naming `source`, and never quoting the content."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise FileUnusable(f"{source} holds no unencrypted PEM private key") from None
    if not isinstance(key, PrivateKey):
        raise FileUnusable(f"{source} holds a {type(key).__name__}, not an EC or RSA key")
    return key


def keep_out_of_core_dumps() -> None:
    """Forbid this process and its children to write their memory, and the keys in it, to disk when they crash."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
