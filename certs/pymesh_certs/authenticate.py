"""How a caller of the CA proves who it is. Authenticators are asked in order, and the first that knows the caller decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pymesh.identity import SpiffeId

from . import token
from .errors import AuthenticationFailed
from .peer import TlsPeer

_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller showed: its connection, and the value of its `authorization` metadata."""

    peer: TlsPeer
    authorization: str | None = None

    @property
    def bearer(self) -> str | None:
        value = self.authorization
        return value[len(_SCHEME) :].strip() if value is not None and value.lower().startswith(_SCHEME) else None


class Authenticator(Protocol):
    """One way of proving an identity."""

    name: str

    async def authenticate(self, credentials: Credentials) -> SpiffeId | None:
        """The caller's identity, None if it showed nothing of this kind; raises AuthenticationFailed if what it showed is not good."""


class ClientCertificate:
    """Renewal: whoever holds a certificate of ours may have the next one for the same identity."""

    name = "client certificate"

    def __init__(self, trust_domain: str) -> None:
        self._trust_domain = trust_domain

    async def authenticate(self, credentials: Credentials) -> SpiffeId | None:
        spiffe = credentials.peer.identity
        if spiffe is not None and spiffe.trust_domain != self._trust_domain:
            raise AuthenticationFailed(f"{spiffe} is not of trust domain {self._trust_domain}")
        return spiffe


class JoinTokens:
    """Tokens that `pymesh-ca token` minted with the key of this CA directory."""

    name = "join token"

    def __init__(self, verifier: token.Verifier) -> None:
        self._verifier = verifier

    @classmethod
    def of(cls, directory: Path, trust_domain: str) -> "JoinTokens":
        return cls(token.Verifier(token.load_or_create_key(directory), trust_domain))

    async def authenticate(self, credentials: Credentials) -> SpiffeId | None:
        return None if credentials.bearer is None else self._verifier.identity(credentials.bearer)


async def identify(credentials: Credentials, authenticators: Sequence[Authenticator]) -> SpiffeId:
    """The first identity that an authenticator vouches for; raises AuthenticationFailed with the reasons of all the others."""
    reasons = []
    for authenticator in authenticators:
        try:
            found = await authenticator.authenticate(credentials)
        except AuthenticationFailed as failure:
            reasons.append(f"{authenticator.name}: {failure}")
            continue
        if found is not None:
            return found
        reasons.append(f"{authenticator.name}: none shown")
    raise AuthenticationFailed("; ".join(reasons))
