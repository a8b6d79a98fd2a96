"""Looking up one name: by the system or by name servers of the cluster's own, in the families that the cluster asks for.

That a name has no addresses is an answer; `LookupFailed` means that there was none.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .dns_config import DnsConfig, Family, NameServers

if TYPE_CHECKING:
    import dns.asyncresolver


class LookupFailed(Exception):
    """No answer: servers that do not answer, or that say that they failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name; `ttl` is for how many seconds they may be used, 0 when nobody has said."""

    addresses: tuple[str, ...] = ()
    ttl: float = 0.0


Lookup = Callable[[str], Awaitable[Answer]]
"""Looks up a name; raises LookupFailed."""

_NO_ADDRESS = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def lookup(config: DnsConfig) -> Lookup:
    """How the names of a cluster are looked up."""
    if config.servers is not None:
        return _beside_localhost(_Servers(config.servers, config.family), config.family)
    return _beside_localhost(_System(config.family, respect_ttl=config.respect_ttl), config.family)


def _beside_localhost(find: Lookup, family: Family) -> Lookup:
    """Names below `localhost` are this machine, whatever servers say (RFC 6761 6.3); Envoy's resolver knows, and not every system's."""

    async def found(name: str) -> Answer:
        if name.lower().rstrip(".").endswith(".localhost"):
            return Answer(chosen(("127.0.0.1",), ("::1",), family))
        return await find(name)

    return found


def chosen(v4: tuple[str, ...], v6: tuple[str, ...], family: Family) -> tuple[str, ...]:
    """The addresses that a family takes, the preferred ones first."""
    match family:
        case Family.V4_ONLY:
            return v4
        case Family.V6_ONLY:
            return v6
        case Family.V4_PREFERRED:
            return v4 or v6
        case Family.ALL:
            return v4 + v6
        case _:
            return v6 or v4


class _System:
    """getaddrinfo: hosts files, search domains and whatever else the system knows; it tells no times to live."""

    def __init__(self, family: Family, *, respect_ttl: bool) -> None:
        self._family = family
        self._ttl = _Servers(NameServers(), family) if respect_ttl else None

    async def __call__(self, name: str) -> Answer:
        loop = asyncio.get_running_loop()
        hint = {Family.V4_ONLY: socket.AF_INET, Family.V6_ONLY: socket.AF_INET6}.get(self._family, socket.AF_UNSPEC)
        try:
            infos = await loop.getaddrinfo(name, None, family=hint, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in _NO_ADDRESS:
                return Answer()
            raise LookupFailed(error.strerror) from error
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a name, such as one with an empty label
            raise LookupFailed(str(error)) from error
        v4, v6 = (_distinct(infos, family) for family in (socket.AF_INET, socket.AF_INET6))
        return Answer(chosen(v4, v6, self._family), await self._time_to_live(name))

    async def _time_to_live(self, name: str) -> float:
        """What DNS says of the name; 0 for names that it does not know, as those of a hosts file."""
        if self._ttl is None:
            return 0.0
        try:
            return (await self._ttl(name)).ttl
        except LookupFailed:
            return 0.0


def _distinct(infos: Sequence[tuple[Any, ...]], family: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos if info[0] == family))


class _Servers:
    """dnspython, asking name servers directly."""

    def __init__(self, servers: NameServers, family: Family) -> None:
        self._servers = servers
        self._family = family
        self._made: dns.asyncresolver.Resolver | None = None

    @property
    def _resolver(self) -> "dns.asyncresolver.Resolver":
        if self._made is None:
            self._made = _resolver(self._servers)
        return self._made

    async def __call__(self, name: str) -> Answer:
        v4, v6 = await self._records(name)
        addresses = chosen(v4.addresses, v6.addresses, self._family)
        used = [one.ttl for one in (v4, v6) if any(address in addresses for address in one.addresses)]
        return Answer(addresses, min(used, default=0.0))

    async def _records(self, name: str) -> tuple[Answer, Answer]:
        """A and AAAA; the less preferred only when it is needed."""
        none = Answer()
        match self._family:
            case Family.V4_ONLY:
                return await self._ask(name, "A"), none
            case Family.V6_ONLY:
                return none, await self._ask(name, "AAAA")
            case Family.ALL:
                v4, v6 = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"))
                return v4, v6
            case Family.V4_PREFERRED:
                first = await self._ask(name, "A")
                return (first, none) if first.addresses else (none, await self._ask(name, "AAAA"))
            case _:
                first = await self._ask(name, "AAAA")
                return (none, first) if first.addresses else (await self._ask(name, "A"), none)

    async def _ask(self, name: str, kind: str) -> Answer:
        import dns.exception
        import dns.resolver

        try:
            found = await self._resolver.resolve(name, kind, tcp=self._servers.tcp, search=self._servers.search)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return Answer()
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(str(error) or type(error).__name__) from error
        return Answer(tuple(str(record.address) for record in found), float(found.chaining_result.minimum_ttl))


def _resolver(servers: NameServers) -> "dns.asyncresolver.Resolver":
    import dns.asyncresolver  # here: a proxy without such clusters is spared its memory
    import dns.nameserver

    made = dns.asyncresolver.Resolver(configure=not servers.addresses or servers.search)
    if servers.addresses:
        made.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers.addresses]
    made.timeout = servers.timeout
    made.lifetime = servers.timeout * servers.tries
    made.rotate = servers.rotate
    if servers.payload:
        made.use_edns(0, 0, servers.payload)
    return made
