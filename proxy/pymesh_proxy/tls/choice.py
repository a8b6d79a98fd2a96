"""Which of several certificates a server shows: the one for the name that the client asks for (SNI), as Envoy chooses.

A certificate is found by its exact name, then by a wildcard for the name's first label; several of different key types for one name
are all offered and OpenSSL takes what the client understands. A name that no certificate has gets the first certificate; a client that
names nothing gets the first of each key type.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import verify


@dataclass(frozen=True, slots=True)
class Shown:
    """A key pair as PEM, and what its certificate says of itself."""

    chain: bytes
    key: bytes
    names: tuple[str, ...]
    """DNS names in small letters; the common name when it has no other."""
    kind: str
    """The type of its key."""
    principal: str


def shown(chain: bytes, key: bytes) -> Shown:
    """Read a key pair's certificate."""
    facts = verify.leaf(chain)
    names = facts.dns_sans or tuple(filter(None, (facts.common_name,)))
    return Shown(chain, key, tuple(name.lower() for name in names), facts.key_type, facts.principal)


def first_of_each_kind(certificates: Iterable[Shown]) -> tuple[Shown, ...]:
    """What one OpenSSL context can hold: a certificate a key type."""
    kinds: dict[str, Shown] = {}
    for certificate in certificates:
        kinds.setdefault(certificate.kind, certificate)
    return tuple(kinds.values())


def by_name(certificates: Sequence[Shown]) -> dict[str, tuple[Shown, ...]]:
    """The certificates to offer for each name that any of them has."""
    names = dict.fromkeys(name for certificate in certificates for name in certificate.names)
    return {name: first_of_each_kind(each for each in certificates if name in each.names) for name in names}


def keys_of(server_name: str) -> tuple[str, str]:
    """Under which names to look, in this order."""
    name = server_name.lower()
    return name, f"*.{name.partition('.')[2]}"
