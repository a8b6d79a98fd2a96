"""Who may talk to the admin interface: there is no password, so browsers must not be talked into it.

A page elsewhere can make a browser send requests to loopback. By DNS rebinding it could read the answers, which is why a Host
must be an address or a name of ours; and by a plain form it could change things, which is why a POST from another origin is
refused.
"""

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

PUBLIC = frozenset({"/ready", "/stats/prometheus"})
"""Paths that listeners forward from outside with whatever Host the client sent (Istio's ports 15021 and 15090)."""


def refusal(path: str, method: str, headers: Mapping[str, str], bound: str) -> str | None:
    """Why a request is refused, or None. `bound` is the host that the interface was told to listen on."""
    host = headers.get("Host", "")
    if path not in PUBLIC and not _ours(host, bound):
        return f"Host {host!r} is none of this proxy's names; use localhost or its address\n"
    if method == "POST" and not _same_origin(headers, host):
        return "requests from other origins may not change anything\n"
    return None


def _ours(host: str, bound: str) -> bool:
    if bound.startswith("/") or not host:  # a Unix socket, or HTTP/1.0: no browser
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in ("localhost", bound, socket.gethostname().lower()) or _is_address(name)


def _is_address(name: str) -> bool:
    """An address cannot be rebound: only names can."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_origin(headers: Mapping[str, str], host: str) -> bool:
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("Origin")
    return origin is None or origin.partition("://")[2] == host
