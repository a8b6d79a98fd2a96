"""What discovery needs of the rest of the process: a runtime to put compiled resources into, compilers, and time."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

Compilers = Mapping[str, Callable[[Any], Any]]
"""By type URL: a protobuf in, an immutable runtime object out; raises ConfigError with every problem."""


class Clusters(Protocol):
    """The runtime's clusters; `prepare` says that one is to be `put` only when `done` has been called."""

    def put(self, config: Any) -> Any: ...

    def prepare(self, config: Any, assignment: Any, done: Callable[[], None]) -> bool: ...

    def remove(self, name: str) -> Any: ...

    def assign(self, assignment: Any) -> Any: ...

    def look_up(self, config: Any) -> asyncio.Event | None:
        """Begin to look up the names of a cluster that is to be put; set when it is warm, None for one that has none to wait for."""


class Listeners(Protocol):
    """The runtime's listeners; `put` binds, and raises StartupError when it cannot."""

    async def put(self, config: Any) -> Any: ...

    async def remove(self, name: str) -> Any: ...


class Routes(Protocol):
    """The runtime's route tables, swapped whole."""

    def put(self, table: Any) -> Any: ...


class Secrets(Protocol):
    """The runtime's secrets; `check` and `put` raise ConfigError for a key that does not fit its certificate."""

    def check(self, secret: Any) -> None: ...

    def put(self, secret: Any) -> Any: ...

    def get(self, name: str) -> Any: ...

    def remove(self, name: str) -> Any: ...


class Runtime(Protocol):
    """The part of `runtime.Runtime` that configuration goes into."""

    @property
    def clusters(self) -> Clusters: ...

    @property
    def listeners(self) -> Listeners: ...

    @property
    def routes(self) -> Routes: ...

    @property
    def secrets(self) -> Secrets: ...


class Handle(Protocol):
    """A timer."""

    def cancel(self) -> Any: ...


Schedule = Callable[[float, Callable[[], None]], Handle]
"""`loop.call_later`, or a test's clock."""
