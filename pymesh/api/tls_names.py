"""Names of TLS that Envoy's BoringSSL knows."""

from collections.abc import Iterable

_CIPHERS = frozenset({
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA",
})  # fmt: skip
_CURVES = frozenset({"P-224", "P-256", "P-384", "P-521", "X25519", "X25519Kyber768Draft00", "X25519MLKEM768"})


def is_cipher(text: str) -> bool:
    """A cipher suite by OpenSSL's name; groups and operators of cipher strings (`[A|B]`, `-ALL`) are taken as they stand."""
    return text in ("", "ALL") or not text[0].isalnum() or text in _CIPHERS


def known_ciphers(suites: Iterable[str]) -> list[str]:
    """The suites that Envoy takes, each once, as it refuses a whole list for one that it does not know."""
    return [suite for suite in dict.fromkeys(suites) if is_cipher(suite)]


def is_curve(text: str) -> bool:
    """A group for key exchange."""
    return text in _CURVES
