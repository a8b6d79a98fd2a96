"""Who may read the debug pages. They tell what every proxy was sent, so that only this machine is trusted without a word.

Others show a join token, as Istiod has its callers show a token of their service account: one of the root namespace opens every page,
one of another namespace the pages of that namespace's own proxies. Metrics, readiness and version are for everybody.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from pymesh.identity import SpiffeId


class Refused(Exception):
    """An answer to somebody who may not know: an HTTP status and the sentence that says what would help."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: the address of the connection, the Host that was asked for, and the identity that a token vouches for."""

    address: str
    host: str
    identity: SpiffeId | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is of this machine. A browser is, too: by a name that a stranger's DNS leads here it brings strangers along."""
        return _is_loopback(self.address) and _names_no_domain(self.host)


def check(caller: Caller, root_namespace: str, namespace: str | None) -> None:
    """Raises Refused. `namespace` is that of the proxy that the page is about, None for a page about the whole mesh."""
    if caller.is_local:
        return
    if caller.identity is None:
        raise Refused(401, "the debug pages are for this machine (Host: localhost or an address), and for who shows a join token as bearer")
    if caller.identity.namespace not in (root_namespace, namespace):
        raise Refused(403, f"a token of namespace {caller.identity.namespace} opens the pages of that namespace's proxies only")


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _names_no_domain(host: str) -> bool:
    """Only names can be rebound; who sends no Host is no browser."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
