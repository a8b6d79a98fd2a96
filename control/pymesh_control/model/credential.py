"""Certificates and keys by name, as Kubernetes keeps them, for the servers that Gateways describe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

AUTHORITY_SUFFIX = "-cacert"
"""The name of a credential with this ending means its authorities alone."""

_CHAIN, _KEY = ("tls.crt", "cert"), ("tls.key", "key")
_ROOTS, _REVOKED = ("ca.crt", "cacert"), ("ca.crl", "crl")
MEMBERS = frozenset((*_CHAIN, *_KEY, *_ROOTS, *_REVOKED))
"""What Kubernetes' and Istio's two kinds of secret call their parts."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret: a certificate chain with its key, authorities, or both. All is PEM."""

    chain: bytes = b""
    key: bytes = field(default=b"", repr=False)
    roots: bytes = b""
    revoked: bytes = b""

    @property
    def has_pair(self) -> bool:
        return bool(self.chain and self.key)


Credentials = Mapping[tuple[str, str], Credential]
"""By (namespace, name)."""

NO_CREDENTIALS: Credentials = MappingProxyType({})


def from_members(members: Mapping[str, bytes]) -> Credential:
    """The credential of a secret's parts, in either spelling."""

    def part(names: tuple[str, ...]) -> bytes:
        return next((members[name] for name in names if members.get(name)), b"")

    return Credential(part(_CHAIN), part(_KEY), part(_ROOTS), part(_REVOKED))
