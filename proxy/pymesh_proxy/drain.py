"""The life of the proxy in phases, and the ordered way out: unready first, then drained, then gone.

Envoy exits at once on SIGTERM and leaves draining to Istio's agent; here the process is its own agent (reference: Istio's
`terminationDrainDuration` and EXIT_ON_ZERO_ACTIVE_CONNECTIONS).
"""

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

_log = logging.getLogger("pymesh.proxy.drain")

DRAIN_TIME = 5.0
"""Seconds, Istio's default terminationDrainDuration."""

LOOK_AGAIN = 0.05
"""Seconds between two looks at the open connections. An event would have to be kept up for every connection of the
process's life, to be waited for once; Istio's agent looks once a second."""


class Phase(enum.Enum):
    """The values are the texts of Envoy's /ready."""

    PRE_INITIALIZING = "PRE_INITIALIZING"
    INITIALIZING = "INITIALIZING"
    LIVE = "LIVE"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"


_NEXT = {
    Phase.PRE_INITIALIZING: {Phase.INITIALIZING, Phase.DRAINING, Phase.STOPPED},
    Phase.INITIALIZING: {Phase.LIVE, Phase.DRAINING, Phase.STOPPED},
    Phase.LIVE: {Phase.DRAINING, Phase.STOPPED},
    Phase.DRAINING: {Phase.STOPPED},
    Phase.STOPPED: set[Phase](),
}


class Life:
    """Which phase the process is in. It is LIVE when every latch has been released."""

    def __init__(self, *latches: str) -> None:
        self.phase = Phase.PRE_INITIALIZING
        self._latches = set(latches)

    def __repr__(self) -> str:
        return f"<Life {self.phase.name} waiting for {', '.join(sorted(self._latches)) or 'nothing'}>"

    @property
    def ready(self) -> bool:
        return self.phase is Phase.LIVE

    def release(self, latch: str) -> None:
        """One condition of readiness is met; releasing it again changes nothing."""
        self._latches.discard(latch)
        self._go_live()

    def initializing(self) -> None:
        """The clusters are warm, listeners come next (Envoy's second stage)."""
        if self.phase is Phase.PRE_INITIALIZING:
            self.enter(Phase.INITIALIZING)
        self._go_live()

    def enter(self, phase: Phase) -> None:
        """Move along the table of phases; asking for one that cannot follow is a defect."""
        if phase not in _NEXT[self.phase]:
            raise AssertionError(f"{phase.name} cannot follow {self.phase.name}")
        _log.info("%s -> %s", self.phase.name, phase.name)
        self.phase = phase

    def _go_live(self) -> None:
        if self.phase is Phase.INITIALIZING and not self._latches:
            self.enter(Phase.LIVE)


class Listeners(Protocol):
    """What draining needs of the runtime's listeners."""

    @property
    def active_connections(self) -> int: ...

    def drain(self) -> None:
        """Ask peers to leave: `Connection: close` on the next answers."""

    def stop_accepting(self, direction: str | None) -> None: ...


Pause = Callable[[float], Awaitable[Any]]


async def nobody() -> None:
    """There is nobody to say goodbye to."""


async def drain(
    life: Life, listeners: Listeners, *, seconds: float, announce: Callable[[], Awaitable[None]] = nobody, pause: Pause = asyncio.sleep
) -> bool:
    """Leave in order; returns whether every connection had ended by itself.

    Connections are accepted until the end, because peers learn only a while after `announce` that this workload is going. An
    idle proxy leaves at once.
    """
    life.enter(Phase.DRAINING)
    listeners.drain()
    try:
        async with asyncio.timeout(seconds):
            await announce()
            while listeners.active_connections:
                await pause(LOOK_AGAIN)
    except TimeoutError:
        _log.warning("drain time of %g s is over with %d connections open", seconds, listeners.active_connections)
    listeners.stop_accepting(None)
    life.enter(Phase.STOPPED)
    return listeners.active_connections == 0
