"""SPIFFE identities, as Istio forms them: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.

Parsing follows the SPIFFE-ID specification (section 2) strictly, because Envoy's plain SAN matcher lets through ids
(`..` segments, queries) that no workload may have.
"""

import re
from dataclasses import dataclass

DEFAULT_TRUST_DOMAIN = "cluster.local"
MAX_LENGTH = 2048  # SPIFFE-ID 2.3: implementations must support at least, and may cap at, 2,048 bytes

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+")


class InvalidSpiffeId(ValueError):
    """The text is not a SPIFFE id; the message says which rule it breaks."""


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """One workload's name: a trust domain and a path."""

    trust_domain: str
    path: str

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}{self.path}"

    @property
    def namespace(self) -> str | None:
        """The Kubernetes namespace, when the path has Istio's form."""
        parts = self.path.split("/")
        return parts[2] if len(parts) == 5 and parts[1] == "ns" and parts[3] == "sa" else None

    @property
    def service_account(self) -> str | None:
        """The service account, when the path has Istio's form."""
        parts = self.path.split("/")
        return parts[4] if len(parts) == 5 and parts[1] == "ns" and parts[3] == "sa" else None


def workload_id(namespace: str, service_account: str, trust_domain: str = DEFAULT_TRUST_DOMAIN) -> SpiffeId:
    """The id of a workload, whose parts are exactly these; raises InvalidSpiffeId if one cannot stand in an id."""
    for part in (trust_domain, namespace, service_account):
        if "/" in part:  # it would shift the parts behind it
            raise InvalidSpiffeId(f"{part!r} is not one segment of a SPIFFE id: it holds a slash")
    return parse(f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}")


def parse(text: str) -> SpiffeId:
    """Read a SPIFFE id; raises InvalidSpiffeId."""
    if len(text.encode()) > MAX_LENGTH:
        raise InvalidSpiffeId(f"longer than {MAX_LENGTH} bytes")
    if not text.startswith("spiffe://"):
        raise InvalidSpiffeId(f"{text!r} does not begin with spiffe://")
    trust_domain, slash, rest = text.removeprefix("spiffe://").partition("/")
    if not _TRUST_DOMAIN.fullmatch(trust_domain):
        raise InvalidSpiffeId(f"trust domain {trust_domain!r} may hold only a-z, 0-9, '.', '-' and '_'")
    for segment in rest.split("/") if slash else ():
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise InvalidSpiffeId(f"path segment {segment!r} of {text!r} is empty, a dot segment, or holds a forbidden character")
    return SpiffeId(trust_domain, slash + rest)
