"""Matching a peer certificate's subject alternative names (Envoy's SubjectAltNameMatcher)."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SanMatcher:
    """One typed matcher: `kind` is URI, DNS, EMAIL or IP_ADDRESS; `text` describes it in errors."""

    kind: str
    text: str
    test: Callable[[str], bool] = field(repr=False, compare=False)

    def matches(self, sans: "tuple[tuple[str, str], ...]") -> bool:
        """Whether any of the certificate's `(kind, value)` names passes. A name with NUL in it never does (CVE-2025-66220)."""
        return any(kind == self.kind and "\0" not in value and self.test(value) for kind, value in sans)


def names_host(sans: "tuple[tuple[str, str], ...]", host: str) -> bool:
    """Whether a certificate is for a host: a DNS name in any case, which may have a star for its first label, or any other name to the
    letter."""
    return any(value == host or (kind == "DNS" and (value.lower() == host.lower() or covers(value, host))) for kind, value in sans)


def covers(san: str, host: str) -> bool:
    """Whether a certificate's `*.example.com` covers a host: the star stands for exactly one label."""
    if not san.startswith("*."):
        return False
    first, _, rest = host.lower().partition(".")
    return bool(first) and rest == san[2:].lower()
