"""The addresses of networks' gateways that are known by name, looked up again and again (Istio's RESOLVE_HOSTNAME_GATEWAYS)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.resolver

from pymesh.tasks import spawn

_log = logging.getLogger("pymesh.networks")

SHORTEST = 30.0
"""Seconds that addresses stay at least: whatever a DNS server says, each change is a push to every proxy."""
LONGEST = 3600.0
TIMEOUT = 5.0
"""Seconds for the DNS servers to answer one question."""


class LookupFailed(Exception):
    """No DNS server has an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, sorted, and for how many seconds the server says that they hold."""

    addresses: tuple[str, ...]
    holds: float


class Dns:
    """The machine's DNS servers, asked for names as they are, without search domains."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._resolver = resolver

    async def look(self, name: str) -> Answer:
        """Both IP versions' addresses. Raises LookupFailed where neither question has an answer."""
        found = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"), return_exceptions=True)
        answers = [one for one in found if isinstance(one, Answer)]
        if not answers:
            raise LookupFailed(str(found[0]))
        addresses = sorted(address for one in answers for address in one.addresses)
        return Answer(tuple(addresses), min(one.holds for one in answers))

    async def _ask(self, name: str, kind: str) -> Answer:
        try:
            resolver = self._resolver = self._resolver or dns.asyncresolver.Resolver()  # here: a machine may have no DNS
            found = await resolver.resolve(f"{name}.", kind, lifetime=TIMEOUT)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return Answer((), LONGEST)
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(str(error) or type(error).__name__) from error
        return Answer(tuple(record.address for record in found), float(found.chaining_result.minimum_ttl))


class GatewayNames:
    """Keeps to the names that are wanted; `changed` is called whenever `addresses` has become another mapping."""

    def __init__(
        self,
        changed: Callable[[], None],
        look: Callable[[str], Awaitable[Answer]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._changed = changed
        self._look = look
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tried: dict[str, asyncio.Event] = {}
        self.addresses: Mapping[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"<GatewayNames {dict(self.addresses)}>"

    def want(self, names: frozenset[str]) -> None:
        """Look these up from now on, and no others."""
        for name in self._tasks.keys() - names:
            self._tasks.pop(name).cancel()
            del self._tried[name]
        self.addresses = {name: found for name, found in self.addresses.items() if name in names}
        for name in sorted(names - self._tasks.keys()):
            self._tried[name] = asyncio.Event()
            self._tasks[name] = spawn(self._keep(name, self._tried[name]), name=f"look up {name}")

    async def tried(self) -> None:
        """Wait until each name that is wanted has been asked for once."""
        for event in list(self._tried.values()):
            await event.wait()

    def close(self) -> None:
        self.want(frozenset())

    async def _keep(self, name: str, tried: asyncio.Event) -> None:
        while True:
            holds = await self._refresh(name)
            tried.set()
            await self._sleep(min(max(holds, SHORTEST), LONGEST))

    async def _refresh(self, name: str) -> float:
        """Take in what a name stands for now; addresses that it had stay where nobody can tell."""
        try:
            answer = await self._look(name)
        except LookupFailed as error:
            _log.warning("the gateway %s cannot be looked up: %s", name, error)
            return SHORTEST
        if not answer.addresses:
            _log.warning("the gateway %s has no address", name)
        if answer.addresses != self.addresses.get(name, ()):
            self.addresses = {**self.addresses, name: answer.addresses}
            self._changed()
        return answer.holds if answer.addresses else SHORTEST
