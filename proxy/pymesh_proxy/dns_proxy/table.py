"""The hosts that are answered for, by every name under which an application may ask for them (Istio's agent spells them so)."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pymesh.xds import nds

_REMEMBERED = 16384
"""Lists of addresses."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a host stands for, as the 4 and 16 bytes that records hold."""

    v4: tuple[bytes, ...] = ()
    v6: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """From where an application asks: its namespace, its `<namespace>.svc.<domain>`, and the search domains of its resolver."""

    namespace: str
    domain: str = ""
    search: tuple[str, ...] = ()

    @property
    def completing(self) -> str:
        """The search domain that a resolver tries first."""
        return self.search[0].lower().strip(".") if self.search else ""

    @property
    def shared_domain(self) -> str:
        """The domain without the namespace: `svc.cluster.local`."""
        return self.domain.removeprefix(f"{self.namespace}.")


@dataclass(frozen=True, slots=True)
class Found:
    """The addresses of a name; `alias` is the host that they belong to, when the name is that with a search domain behind it."""

    addresses: Addresses
    alias: str = ""


class Table:
    """One name table. Names are in small letters, without the dot at the end."""

    def __init__(self, hosts: dict[str, Addresses], search: str = "") -> None:
        """`search` is the search domain that a resolver tries first, whose names are answered for, too."""
        self._hosts = hosts
        self._suffix = f".{search}" if search else ""

    def __len__(self) -> int:
        return len(self._hosts)

    def __repr__(self) -> str:
        return f"<Table of {len(self)} names>"

    def find(self, name: str) -> Found | None:
        """What a name stands for: the host itself, then what is left without the search domain, then the closest wildcard."""
        if (found := self._exact(name, name)) is not None:
            return found
        rest = name.partition(".")[2]
        while rest:
            if (found := self._exact(f"*.{rest}", name)) is not None:
                return found
            rest = rest.partition(".")[2]
        return None

    def _exact(self, pattern: str, name: str) -> Found | None:
        if (addresses := self._hosts.get(pattern)) is not None:
            return Found(addresses)
        if self._suffix and pattern.endswith(self._suffix):
            addresses = self._hosts.get(pattern.removesuffix(self._suffix))
            return None if addresses is None else Found(addresses, name.removesuffix(self._suffix))
        return None


def named(message: Any, place: Place) -> Iterator[tuple[str, Addresses]]:
    """Every name of a NameTable with what it stands for; what comes later counts. Hosts without a proper address are left out.

    One at a time, so that a caller may let others run in between.
    """
    known = [(host.lower().rstrip("."), host) for host in sorted(message.table, reverse=True)]
    for host, key in known:
        info = message.table[key]
        if found := _addresses(tuple(info.ips)):
            for name in _other_names(host, info, place):
                yield name.lower(), found
    for host, key in known:  # what a host is called stands over what another may be called
        if found := _addresses(tuple(message.table[key].ips)):
            yield host, found


@lru_cache(_REMEMBERED)
def _addresses(ips: tuple[str, ...]) -> Addresses | None:
    """Remembered, since most of a table is that of before."""
    found = [address for text in ips if (address := _parsed(text)) is not None]
    v4, v6 = (tuple(one.packed for one in found if one.version == version) for version in (4, 6))
    return Addresses(v4, v6) if found else None


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _other_names(host: str, info: Any, place: Place) -> Iterator[str]:
    """The short names of a host of the client's own cluster; names of other clusters could be confused with them."""
    if info.registry != nds.KUBERNETES or not place.shared_domain or not host.endswith(f".{place.shared_domain}"):
        return
    if info.namespace == place.namespace:
        yield info.shortname
    yield f"{info.shortname}.{info.namespace}"
    yield f"{info.shortname}.{info.namespace}.{place.shared_domain.partition('.')[0]}"
    yield from info.alt_hosts
