"""Redirects that the proxy follows by itself (internal_redirect_policy): which, how often, and where one leads."""

import re
from dataclasses import dataclass

_ABSOLUTE = re.compile(rb"(https?)://([^/?#\s]+)((?:[/?][^#\s]*)?)(?:#[^\s]*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalRedirects:
    """The policy of a route."""

    maximum: int = 1
    """Redirects of one request that are followed."""
    statuses: frozenset[int] = frozenset((302,))
    cross_scheme: bool = False
    """Also from https to http, and the other way."""
    copied: tuple[bytes, ...] = ()
    """Names, in lower case, of headers that the new request gets from the answer, instead of its own."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a Location leads."""

    scheme: bytes
    authority: bytes
    path: bytes


def destination(location: bytes) -> Destination | None:
    """An absolute http or https URL without its fragment; anything else is left to the client, as in Envoy."""
    found = _ABSOLUTE.fullmatch(location)
    if found is None:
        return None
    path = found[3]
    authority = found[2].rpartition(b"@")[2]  # who asks is not the upstream's to say
    return Destination(found[1].lower(), authority, path if path.startswith(b"/") else b"/" + path)
