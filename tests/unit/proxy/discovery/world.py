"""A runtime that only writes down what it is told, a clock that tests turn, and compilers with one rule each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymesh.xds import types
from pymesh_proxy.discovery.configuration import Configuration
from pymesh_proxy.discovery.origins import Origins
from pymesh_proxy.discovery.source import Fetch
from pymesh_proxy.discovery.status import Status
from pymesh_proxy.discovery.subscription import Update
from pymesh_proxy.errors import ConfigError, Problem, StartupError


@dataclass(frozen=True)
class Compiled:
    """Stands for a runtime object."""

    name: str
    message: Any = field(repr=False)
    added_via_api: bool = False


def compiler(type_url: str) -> Callable[[Any], Compiled]:
    """A cluster with a connect_timeout of 13 s, a listener on port 13 and a secret named `bad` cannot be honoured."""

    def run(message: Any) -> Compiled:
        if type_url == types.CLUSTER and message.connect_timeout.seconds == 13:
            raise ConfigError(Problem("connect_timeout", "13 is not supported"), Problem("name", "neither"))
        if type_url == types.LISTENER and message.address.socket_address.port_value == 13:
            raise ConfigError(Problem("address.socket_address.port_value", "13 is not supported"))
        return Compiled(types.resource_name(type_url, message), message)

    return run


class Recorder:
    """The four parts of a runtime in one, as a journal."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.looked_up: dict[str, asyncio.Event] = {}
        self.taken_ports: set[int] = set()
        self.held_secrets: dict[str, Any] = {}
        self.checking: dict[str, Callable[[], None]] = {}
        """Names of clusters whose endpoints are checked before they serve, and what to call when that is done."""
        self.clusters, self.listeners = _Clusters(self), _Listeners(self)
        self.routes, self.secrets = _Routes(self), _Secrets(self)

    def take(self) -> list[str]:
        """What happened since the last time."""
        taken, self.journal[:] = list(self.journal), []
        return taken


class _Part:
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def note(self, text: str) -> None:
        self.recorder.journal.append(text)


class _Clusters(_Part):
    def prepare(self, config: Any, assignment: Any, done: Callable[[], None]) -> bool:
        if config.name not in self.recorder.checking:
            return False
        self.recorder.checking[config.name] = done
        self.note(f"checks {config.name} {assignment.name if assignment else ''}".rstrip())
        return True

    def put(self, config: Any) -> None:
        self.note(f"cluster {config.name}")

    def remove(self, name: str) -> None:
        self.note(f"no cluster {name}")

    def assign(self, assignment: Any) -> None:
        self.note(f"endpoints {assignment.name}")

    def look_up(self, config: Any) -> asyncio.Event | None:
        """Names of clusters that begin with `dns` have to be looked up; a test sets the event."""
        if not config.name.startswith("dns"):
            return None
        self.recorder.looked_up[config.name] = asyncio.Event()
        self.note(f"looking up {config.name}")
        return self.recorder.looked_up[config.name]


class _Listeners(_Part):
    async def put(self, config: Any) -> None:
        if (port := config.message.address.socket_address.port_value) in self.recorder.taken_ports:
            raise StartupError(f"cannot bind {port}: in use")
        self.note(f"listener {config.name}:{port}")

    async def remove(self, name: str) -> None:
        self.note(f"no listener {name}")


class _Routes(_Part):
    def put(self, table: Any) -> None:
        self.note(f"routes {table.name}")


class _Secrets(_Part):
    def check(self, secret: Any) -> None:
        if secret.name == "bad":
            raise ConfigError(Problem("secret bad", "key and certificate do not belong together"))

    def put(self, secret: Any) -> None:
        self.recorder.held_secrets[secret.name] = secret
        self.note(f"secret {secret.name}")

    def get(self, name: str) -> Any:
        return self.recorder.held_secrets.get(name)

    def remove(self, name: str) -> None:
        self.recorder.held_secrets.pop(name, None)
        self.note(f"no secret {name}")


class Clock:
    """Timers that run when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None], _Timer]] = []

    def schedule(self, seconds: float, callback: Callable[[], None]) -> "_Timer":
        timer = _Timer()
        self.timers.append((self.now + seconds, callback, timer))
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [one for one in self.timers if one[0] <= self.now]
        self.timers = [one for one in self.timers if one[0] > self.now]
        for _, callback, timer in due:
            if not timer.cancelled:
                callback()


class _Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """A configuration between a recorder and a clock."""

    def __init__(self, *, origins: Origins | None = None, resolves: bool = False) -> None:
        self.runtime = Recorder()
        self.clock = Clock()
        self.status = Status()
        self.configuration = Configuration(
            self.runtime,
            {url: compiler(url) for url in types.PUSH_ORDER},
            status=self.status,
            schedule=self.clock.schedule,
            dynamic={types.CLUSTER: Fetch(ads=True), types.LISTENER: Fetch(ads=True)},
            origins=origins,
            name_table=self._names if resolves else None,
        )

    async def _names(self, _table: Any) -> None:
        self.runtime.journal.append("names")

    async def start(self) -> "World":
        await self.configuration.start([], [])
        return self

    async def give(self, type_url: str, *messages: Any, removed: tuple[str, ...] = ()) -> list[str]:
        """Bring a response; what the runtime was told because of it."""
        update = Update(
            type_url=type_url,
            resources={types.resource_name(type_url, one): one for one in messages},
            removed=frozenset(removed),
        )
        await self.configuration.apply(update, await self.configuration.prepare(update))
        await self.configuration.settle()
        return self.runtime.take()

    async def pass_time(self, seconds: float) -> list[str]:
        """Turn the clock; what the runtime was told because of it."""
        self.clock.advance(seconds)
        await self.configuration.settle()
        return self.runtime.take()

    def wanted(self, type_url: str) -> set[str] | None:
        names = self.configuration.wanted(type_url)
        return None if names is None else set(names)
