"""Reading a certificate signing request from somebody we do not trust.

Only the public key is taken from it. Subject, SANs and every extension are ignored: a workload's name comes from how it
authenticated, never from what it asks for.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from .errors import CsrMalformed
from .keys import PublicKey

MAX_SIZE = 16 * 1024  # bytes of PEM; an RSA 8192 request is under 4 KiB
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # verifying a larger one costs us much and the sender nothing
_CURVES = (ec.SECP256R1, ec.SECP384R1)


def public_key(pem: bytes) -> PublicKey:
    """The key whose possession the request proves; raises CsrMalformed."""
    if len(pem) > MAX_SIZE:
        raise CsrMalformed(f"the request is {len(pem)} bytes long; at most {MAX_SIZE} are read")
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise CsrMalformed("the request is not a PEM PKCS#10 request with a known kind of key") from None
    checked = _strong_enough(key)
    if not _proves_possession(request):
        raise CsrMalformed("the request is not signed with its own key")
    return checked


def _strong_enough(key: object) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey):
        if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return key
        raise CsrMalformed(f"an RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {key.key_size}")
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    raise CsrMalformed("the key must be RSA, or EC on P-256 or P-384")


def _proves_possession(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (UnsupportedAlgorithm, ValueError):
        return False
