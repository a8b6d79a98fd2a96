"""How the workload beside the agent is, as the control plane is told over the relay: what probes say, and at last that it drains."""

import asyncio

from pymesh import tasks
from pymesh.bootstrap.probe import ReadinessProbe
from pymesh.readiness.prober import keep_probing

from .relay import Relay


class Health:
    """Probes as `probe` says; without one a workload is well for as long as its stream lasts."""

    def __init__(self, probe: ReadinessProbe | None, relay: Relay) -> None:
        self._probe = probe
        self._relay = relay
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._probe is not None:
            self._probing = tasks.spawn(keep_probing(self._probe, self._relay.feel), name="readiness")

    def close(self) -> None:
        """Probe no more; what was told last holds."""
        if self._probing is not None:
            self._probing.cancel()

    async def drain(self) -> None:
        """Let the control plane send nobody here any more; returns when that is on its way."""
        self.close()
        await self._relay.say_unwell("draining")
