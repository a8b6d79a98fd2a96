"""What the process has been told to be: resources accepted, warming and serving, put into the runtime in the right order.

A response is compiled whole before anything changes and is then applied whole, or refused whole (Envoy applies the good
resources of a bad response). A changed cluster is warm at once when its assignment is already held; Envoy waits 15 s for
a fresh one before it does the same.
"""

import asyncio
import dataclasses
import enum
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pymesh.tasks import spawn
from pymesh.xds import types

from ..errors import ConfigError, Problem, StartupError
from .fairness import Slices
from .origins import Origins
from .references import Need, Reference, references_of
from .roster import Held, Roster
from .source import Fetch, GrpcSource
from .status import Status
from .subscription import Update
from .target import Compilers, Handle, Runtime, Schedule

_log = logging.getLogger("pymesh.proxy.discovery")

BIND_AGAIN = 5.0
"""Seconds until a listener that could not bind is tried again: its port may belong to a proxy that is draining."""

_CHECKS = "checks"
"""The need of a cluster whose endpoints are checked before it serves; no xDS type."""

_PORT = "port"
"""The need of a listener whose port is taken; no xDS type."""

_NAMES = "names"
"""The need of a cluster whose names are being looked up; no xDS type either."""


class Stage(enum.Enum):
    """Envoy's order of initialization: LDS is asked for when the first clusters are warm."""

    CLUSTERS = 0
    LISTENERS = 1
    DONE = 2


class Configuration:
    """One process's resources. `on_change` hooks are called after `settle`, when what is wanted or serving may have changed."""

    def __init__(
        self,
        runtime: Runtime,
        compilers: Compilers,
        *,
        status: Status,
        schedule: Schedule,
        dynamic: Mapping[str, Fetch],
        origins: Origins | None = None,
        name_table: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        """`dynamic` says where clusters and listeners come from, by type URL; `name_table` takes Istio's, which is asked for if given."""
        self.stage = Stage.CLUSTERS
        self.on_change: list[Callable[[], None]] = []
        self._runtime = runtime
        self._compilers = compilers
        self._status = status
        self._schedule = schedule
        self._dynamic = dynamic
        self._origins = origins or Origins()
        self._name_table = name_table
        self._rosters = {types.CLUSTER: Roster(), types.LISTENER: Roster()}
        self._assignments: dict[str, Any] = {}
        self._present: set[Need] = set()
        self._checking: set[Need] = set()
        """First rounds of health checks that are under way; static listeners open behind them, as in Envoy."""
        self._unfetched = set(dynamic)
        self._timers: dict[Need, Handle] = {}
        self._binding = asyncio.Lock()
        self._to_close: set[str] = set()
        self._unopened: dict[str, str] = {}
        """Why a listener could not be opened, as it was told last: a port may stay taken for days."""
        self._lookups: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Configuration {self.stage.name} clusters={self._clusters} listeners={self._listeners}>"

    @property
    def _clusters(self) -> Roster:
        return self._rosters[types.CLUSTER]

    @property
    def _listeners(self) -> Roster:
        return self._rosters[types.LISTENER]

    def wanted(self, type_url: str) -> frozenset[str] | None:
        """The names to subscribe to over ADS (none means all, for CDS and LDS), or None when it is not time to ask."""
        if type_url == types.NAME_TABLE:
            return None if self._name_table is None else frozenset()
        if type_url in types.WILDCARD:
            early = type_url == types.LISTENER and self.stage is Stage.CLUSTERS
            return None if early or type_url not in self._dynamic else frozenset()
        return frozenset(one.need.name for one in self._references() if one.need.type_url == type_url and one.fetch.ads)

    def wanted_secrets(self) -> dict[GrpcSource, frozenset[str]]:
        """The secrets to fetch from services of their own."""
        wanted: dict[GrpcSource, set[str]] = {}
        for one in self._references():
            if one.fetch.service is not None and not self._origins.is_own(one):
                wanted.setdefault(one.fetch.service, set()).add(one.need.name)
        return {source: frozenset(names) for source, names in wanted.items()}

    def warming(self, type_url: str) -> list[Any]:
        """The accepted clusters or listeners that do not serve yet, as protobufs; for /config_dump."""
        roster = self._rosters.get(type_url)
        return [held.message for held in roster.warming.values()] if roster is not None else []

    def _references(self) -> Iterable[Reference]:
        for roster in self._rosters.values():
            yield from roster.references()

    async def start(self, clusters: Iterable[Held], listeners: Iterable[Held]) -> None:
        """Take the static resources and begin to wait for the dynamic ones; raises ConfigError, and StartupError for a taken port."""
        for held in clusters:
            self._stage(types.CLUSTER, held)
        if types.CLUSTER in self._dynamic:
            self._wait(Need(types.CLUSTER, ""), self._dynamic[types.CLUSTER].timeout)
        self._promote_clusters()
        if self._lookups:
            await asyncio.wait(self._lookups.values())
        for held in listeners:
            self._stage(types.LISTENER, held, tuple(self._checking))
        for held in self._listeners.take_ready():
            await self._runtime.listeners.put(held.config)
        await self.settle()

    async def prepare(self, update: Update) -> dict[str, Any]:
        """Compile a response, changing nothing; raises ConfigError with `type name: field path: sentence` for each problem."""
        kind = types.MESSAGES[update.type_url].DESCRIPTOR.name
        prepared: dict[str, Any] = {}
        problems: list[Problem] = []
        slices = Slices()
        for name, message in self._relevant(update).items():
            await slices.breathe()
            try:
                prepared[name] = self._compile(update.type_url, name, message)
            except ConfigError as error:
                problems += [Problem(f"{kind} {name}", str(problem)) for problem in error.problems]
        if problems:
            raise ConfigError(*problems)
        return prepared

    async def apply(self, update: Update, prepared: Mapping[str, Any]) -> None:
        """Put a prepared response into use; listeners that are ready wait for `settle`."""
        match update.type_url:
            case types.CLUSTER | types.LISTENER:
                self._replace(update, prepared)
            case types.ENDPOINT:
                await self._assign(prepared)
            case types.ROUTE:
                for table in prepared.values():
                    self._runtime.routes.put(table)
            case types.SECRET:
                for secret in prepared.values():
                    self._runtime.secrets.check(secret)
                for secret in prepared.values():
                    self._runtime.secrets.put(secret)
            case types.NAME_TABLE if self._name_table is not None:
                for table in prepared.values():
                    await self._name_table(table)
                return
        if update.type_url not in self._rosters:
            # A removed name that is in use keeps its last value; one that is waited for will not come.
            for need in [Need(update.type_url, name) for name in {*prepared, *update.removed}]:
                self._present.add(need)
                self._arrived(need)
        self._promote_clusters()
        self._advance()

    def _replace(self, update: Update, prepared: Mapping[str, Held]) -> None:
        for held in prepared.values():
            self._stage(update.type_url, held)
        for name in update.removed:
            self._remove(update.type_url, name)
        self._arrived(Need(update.type_url, ""))

    async def _assign(self, assignments: Mapping[str, Any]) -> None:
        self._assignments |= assignments
        served = self._clusters.served()
        slices = Slices()
        for name, assignment in assignments.items():
            await slices.breathe()
            if Need(types.ENDPOINT, name) in served:
                self._runtime.clusters.assign(assignment)

    def secret_changed(self, name: str) -> None:
        """The process itself has put a secret into the runtime."""
        self._arrived(Need(types.SECRET, name))
        self._promote_clusters()
        self._advance()
        spawn(self.settle(), name="discovery: settle")

    def _relevant(self, update: Update) -> Mapping[str, Any]:
        """The resources that were asked for and differ from what is held."""
        if update.type_url == types.NAME_TABLE:
            return update.resources
        if update.type_url not in self._rosters:
            references = {one.need for one in self._references()}
            return {name: one for name, one in update.resources.items() if Need(update.type_url, name) in references}
        roster = self._rosters[update.type_url]
        relevant = {}
        for name, message in update.resources.items():
            newest = roster.newest(name)
            if newest is None or (newest.message != message and not newest.static):
                relevant[name] = message
        return relevant

    def _compile(self, type_url: str, name: str, message: Any) -> Any:
        if type_url == types.NAME_TABLE:
            return message  # nothing of it can be refused, and it may be so large that it is read bit by bit
        compiled = self._compilers[type_url](message)
        if type_url not in self._rosters:
            return compiled
        references = references_of(message)
        if problems := self._origins.check(references):
            raise ConfigError(*problems)
        return Held(name=name, message=message, config=dataclasses.replace(compiled, added_via_api=True), references=references)

    def _stage(self, type_url: str, held: Held, besides: tuple[Need, ...] = ()) -> None:
        missing = [one for one in held.references if not self._has(one)]
        needs = {*(one.need for one in missing), *besides}
        if type_url == types.CLUSTER and (known := self._runtime.clusters.look_up(held.config)) is not None:
            needs.add(Need(_NAMES, held.name))
            self._lookups[held.name] = spawn(self._names_known(held, known), name=f"discovery: names of {held.name}")
        self._rosters[type_url].stage(held, needs)
        for one in missing:
            self._wait(one.need, one.fetch.timeout)

    async def _names_known(self, held: Held, known: asyncio.Event) -> None:
        """A cluster's first look-up; a newer version of the cluster has one of its own."""
        await known.wait()
        if self._clusters.warming.get(held.name) is not held:
            return
        del self._lookups[held.name]
        self._arrived(Need(_NAMES, held.name))
        self._promote_clusters()
        self._advance()
        await self.settle()

    def _has(self, reference: Reference) -> bool:
        need = reference.need
        return need in self._present or (need.type_url == types.SECRET and self._runtime.secrets.get(need.name) is not None)

    def _wait(self, need: Need, seconds: float) -> None:
        if seconds and need not in self._timers:
            self._timers[need] = self._schedule(seconds, lambda: self._give_up(need))

    def _give_up(self, need: Need) -> None:
        """Nothing has come in time: go on without, as Envoy does."""
        del self._timers[need]
        if need.type_url != _PORT:
            self._status.of(need.type_url).init_fetch_timeout += 1
            _log.warning("no %s %s in time; going on without", types.SHORT[need.type_url], need.name or "answer")
        if not need.name:
            self._unfetched.discard(need.type_url)
        self._met(need)
        self._promote_clusters()
        self._advance()
        spawn(self.settle(), name="discovery: settle")

    def _arrived(self, need: Need) -> None:
        if not need.name:
            self._unfetched.discard(need.type_url)
        if (timer := self._timers.pop(need, None)) is not None:
            timer.cancel()
        self._met(need)

    def _met(self, need: Need) -> None:
        for roster in self._rosters.values():
            roster.met(need)

    def _promote_clusters(self) -> None:
        for held in self._clusters.take_ready():
            if self._is_checked_first(held):
                continue
            self._runtime.clusters.put(held.config)
            for one in held.references:
                if one.need.type_url == types.ENDPOINT and one.need.name in self._assignments:
                    self._runtime.clusters.assign(self._assignments[one.need.name])
        self._forget_unreferenced()
        self._count()

    def _is_checked_first(self, held: Held) -> bool:
        """Whether a cluster that is ready but for its health checks has to wait for the first round of them."""
        need = Need(_CHECKS, held.name)
        endpoints = (self._assignments.get(one.need.name) for one in held.references if one.need.type_url == types.ENDPOINT)
        if not self._runtime.clusters.prepare(held.config, next(endpoints, None), lambda: self._checked(need)):
            return False
        self._checking.add(need)
        self._clusters.stage(held, (need,))
        return True

    def _checked(self, need: Need) -> None:
        self._checking.discard(need)
        self._met(need)
        self._promote_clusters()
        self._advance()
        spawn(self.settle(), name="discovery: settle")

    def _remove(self, type_url: str, name: str) -> None:
        newest = self._rosters[type_url].newest(name)
        if newest is None or newest.static:
            return
        served = self._rosters[type_url].remove(name)
        if type_url == types.CLUSTER:
            self._lookups.pop(name, None)
            self._runtime.clusters.remove(name)  # one that only warms may be looking up its names
        elif served:
            self._to_close.add(name)
        if type_url == types.LISTENER:
            self._unopened.pop(name, None)

    def _forget_unreferenced(self) -> None:
        """What nothing refers to is dropped: should it be wanted again, the control plane will send it again."""
        references = list(self._references())
        needed = {one.need for one in references}
        for need in self._present - needed:
            self._present.discard(need)
            if need.type_url == types.ENDPOINT:
                self._assignments.pop(need.name, None)
            elif need.type_url == types.SECRET:
                self._runtime.secrets.remove(need.name)
        for need in self._timers.keys() - needed:
            if need.name and need.type_url != _PORT:
                self._timers.pop(need).cancel()

    def _advance(self) -> None:
        """Move to the next stage when nothing of this one is missing."""
        if self.stage is Stage.CLUSTERS and types.CLUSTER not in self._unfetched and not self._clusters.warming:
            self.stage = Stage.LISTENERS
            if types.LISTENER in self._dynamic:
                self._wait(Need(types.LISTENER, ""), self._dynamic[types.LISTENER].timeout)
        settled = types.LISTENER not in self._unfetched and not self._listeners.warming
        if self.stage is Stage.LISTENERS and settled:
            self.stage = Stage.DONE

    async def settle(self) -> None:
        """Open the listeners that are warm, close those that were removed."""
        async with self._binding:
            ready = self._listeners.take_ready()
            self._to_close -= {held.name for held in ready}  # removed and given again: replaced
            while self._to_close:
                await self._runtime.listeners.remove(self._to_close.pop())
            for held in ready:
                await self._open(held)
        self._forget_unreferenced()
        self._advance()
        self._count()
        for hook in self.on_change:
            hook()

    async def _open(self, held: Held) -> None:
        try:
            await self._runtime.listeners.put(held.config)
        except (StartupError, ConfigError) as error:
            if self._unopened.get(held.name) != str(error):
                self._unopened[held.name] = str(error)
                _log.error("listener %s: %s; trying again every %g s", held.name, error, BIND_AGAIN)
            self._status.of(types.LISTENER).last_error = f"Listener {held.name}: {error}"
            need = Need(_PORT, held.name)
            self._listeners.stage(held, (need,))
            self._wait(need, BIND_AGAIN)
            return
        if self._unopened.pop(held.name, None) is not None:
            _log.info("listener %s is open now", held.name)

    def _count(self) -> None:
        self._status.warming_clusters = len(self._clusters.warming)
        self._status.warming_listeners = len(self._listeners.warming)
