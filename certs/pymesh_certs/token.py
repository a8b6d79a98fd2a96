"""Join tokens: how a workload outside Kubernetes proves which service account it may be, before it has a certificate.

A token is a JWT in the form of a Kubernetes service account token (audience `istio-ca`, subject
`system:serviceaccount:<namespace>:<account>`), signed with a key of the CA directory that signs nothing else.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from pymesh.identity import InvalidSpiffeId, SpiffeId, workload_id

from . import files, keys
from .errors import AuthenticationFailed, CertsError

KEY_FILE = "token-key.pem"
AUDIENCE = "istio-ca"
ISSUER = "pymesh-ca"
ALGORITHM = "ES256"
MAX_TTL = timedelta(days=30)
MAX_SIZE = 8 * 1024  # characters; ours are under 500
LEEWAY = 30  # seconds between the clocks of who mints and who verifies
_SUBJECT = "system:serviceaccount:"

Clock = Callable[[], float]


class TokenRefused(CertsError):
    """The asked-for token would be of no use; the message says why."""


def mint(directory: Path, namespace: str, service_account: str, ttl: timedelta, clock: Clock = time.time) -> str:
    """A token that lets its bearer become that service account until it expires. Raises TokenRefused, FileUnusable."""
    if not timedelta(seconds=1) <= ttl <= MAX_TTL:
        raise TokenRefused(f"a token lives from one second to {MAX_TTL.days} days, not {ttl}")
    try:
        workload_id(namespace, service_account)
    except InvalidSpiffeId as error:
        raise TokenRefused(str(error)) from None
    now = int(clock())
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": f"{_SUBJECT}{namespace}:{service_account}",
        "iat": now,
        "nbf": now,
        "exp": now + int(ttl.total_seconds()),
        "jti": secrets.token_hex(16),
    }
    return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, load_or_create_key(directory), algorithms=[ALGORITHM])


def load_or_create_key(directory: Path) -> ECKey:
    """The signing key, made at first use; raises FileUnusable when its file was readable by others."""
    path = directory / KEY_FILE
    if not path.exists():
        with files.locked(directory):
            if not path.exists():
                files.write(path, keys.to_pem(keys.generate()))
    pem = files.read_private(path)
    keys.from_pem(pem, str(path))
    return ECKey.import_key(pem.decode())


@dataclass(frozen=True, slots=True)
class Verifier:
    """Reads tokens made with one key. Whatever key, algorithm or URL a token's own header names plays no part."""

    key: ECKey
    trust_domain: str
    clock: Clock = time.time

    def identity(self, token: str) -> SpiffeId:
        """Whom the token speaks for; raises AuthenticationFailed with the reason, which is for our log only."""
        if len(token) > MAX_SIZE:
            raise AuthenticationFailed("the token is too long")
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self.clock()),
            leeway=LEEWAY,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            decoded = jwt.decode(token, self.key, algorithms=[ALGORITHM])
            rules.validate(decoded.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise AuthenticationFailed(f"the token is not good: {error}") from None
        return self._workload(decoded.claims["sub"])

    def _workload(self, subject: object) -> SpiffeId:
        parts = subject.removeprefix(_SUBJECT).split(":") if isinstance(subject, str) and subject.startswith(_SUBJECT) else []
        if len(parts) != 2:
            raise AuthenticationFailed(f"the token's subject {subject!r} is not {_SUBJECT}<namespace>:<account>")
        namespace, account = parts
        try:
            return workload_id(namespace, account, self.trust_domain)
        except InvalidSpiffeId as error:
            raise AuthenticationFailed(f"the token's subject {subject!r} makes no SPIFFE id: {error}") from None
