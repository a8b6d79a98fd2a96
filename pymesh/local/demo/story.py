"""The canary story: seven steps, each done with real traffic through the gateway, each with a condition that it must meet."""

import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from rich.table import Table

from ..environment import Proxy
from ..errors import StoryStuck
from ..mesh import CONTROL, LocalMesh, Say
from . import metrics
from .checks import Measured, split_faults, steady_faults
from .load import Users
from .probes import plaintext, through_proxy
from .tables import facts_table, split_table, steady_table

CALLER, SERVING_V1, SERVING_V2 = "algorithm-selector-v1", "model-serving-v1", "model-serving-v2"
_SERVING = "model-serving"
_ROUTES = "model-serving_routes.yaml"
_CANARY, _PROMOTION = "model-serving_v2_canary.yaml", "model-serving_v2.yaml"
_DECLARED = "http://featurestore-s3.example.com/features?list-type=2&max-keys=1"
_UNDECLARED = "http://undeclared.example.com/"

_BLOCKED = "block_all"  # the route by which REGISTRY_ONLY answers, as Istio names it
_LOGGED_WITHIN = 15.0  # seconds; access logs are written at the latest after 10

# So many answers in a row that a canary of 30% would give them once in 10^10 runs: the promotion has arrived.
_CERTAIN = 20
_PATIENCE = 60.0  # seconds until a change must have arrived
_UNDER_LOAD = 100  # requests before, and three times as many after, something is killed


@dataclass(frozen=True, slots=True)
class Result:
    """What a step showed, and what was wrong with it (nothing, if it held)."""

    table: Table
    faults: tuple[str, ...]

    @classmethod
    def of(cls, table: Table, faults: Iterable[str]) -> "Result":
        return cls(table, tuple(faults))

    @property
    def held(self) -> bool:
        return not self.faults


class Story:
    """The steps over a running mesh. `rollout` holds the files that replace the routes; `requests` is the size of a measured run."""

    def __init__(self, mesh: LocalMesh, session: aiohttp.ClientSession, users: Users, rollout: Path, requests: int, say: Say) -> None:
        self._mesh = mesh
        self._session = session
        self._users = users
        self._rollout = rollout
        self._requests = requests
        self._say = say

    @property
    def steps(self) -> Mapping[str, Callable[[], Awaitable[Result]]]:
        """Title -> step, in order; each builds on the one before."""
        return {
            "(a) all requests go to v1": self.all_to_v1,
            "(b) the canary file gives v2 30% of them": self.canary,
            "(c) v2 is promoted and gets all": self.promotion,
            "(d) a v2 instance is killed under load: no request fails": self.instance_killed,
            "(e) plaintext to a STRICT workload is refused": self.plaintext_refused,
            "(f) the declared S3 host works, an undeclared one is blocked": self.egress,
            "(g) the control plane is killed and restarted: traffic never stops": self.control_killed,
        }

    async def all_to_v1(self) -> Result:
        """Before any rollout."""
        await self._until("v1", in_a_row=1)
        return await self._split({"v1": 1.0})

    async def canary(self) -> Result:
        """One file replaced: 70/30."""
        self._replace_routes(_CANARY)
        await self._until("v2", in_a_row=1)
        return await self._split({"v1": 0.7, "v2": 0.3})

    async def promotion(self) -> Result:
        """The file replaced again: all to v2."""
        self._replace_routes(_PROMOTION)
        await self._until("v2", in_a_row=_CERTAIN)
        return await self._split({"v2": 1.0})

    async def instance_killed(self) -> Result:
        """SIGKILL to the application and the sidecar of one of two instances; it comes back afterwards."""
        victim = self._mesh.plan.instances_of(SERVING_V2)[-1]
        self._say(f"killing {victim.pod} under load")
        async with self._users.busy() as record:
            await record.more(_UNDER_LOAD, _PATIENCE)
            await self._mesh.kill(*victim.processes)
            await record.more(3 * _UNDER_LOAD, _PATIENCE)
        for name in victim.processes:
            await self._mesh.start_process(name)
        return Result.of(steady_table(record, ("killed", ", ".join(victim.processes))), steady_faults(record))

    async def plaintext_refused(self) -> Result:
        """A request without TLS to the port on which the sidecar takes the mesh's mutual TLS."""
        port = self._sidecar(SERVING_V1).inbound["http"]["bind"]
        answer = await plaintext(port, "/v1/models/bearing")
        faults = [] if answer.refused else [f"the connection was not refused: {answer.text}"]
        return Result.of(facts_table((f"GET http://127.0.0.1:{port}/v1/models/bearing", answer.text)), faults)

    async def egress(self) -> Result:
        """Two hosts outside, asked for through the caller's sidecar; the reason for a block stands in its access log."""
        sidecar = self._sidecar(CALLER)
        declared = await through_proxy(self._session, sidecar.http_proxy, _DECLARED)
        blocked = await through_proxy(self._session, sidecar.http_proxy, _UNDECLARED)
        self._say("waiting for the access log")
        line = await self._mesh.process(sidecar.name).says(urlsplit(_UNDECLARED).netloc, _LOGGED_WITHIN) or "(not logged)"
        faults = []
        if declared.status != 200 or "<ListBucketResult" not in declared.text:
            faults.append(f"the declared host answered {declared.status}: {declared.text}")
        if blocked.status != 502 or _BLOCKED not in line:
            faults.append(f"the undeclared host answered {blocked.status} instead of 502 by {_BLOCKED}: {blocked.text}; {line}")
        return Result.of(
            facts_table(
                (_DECLARED, str(declared.status)),
                (_UNDECLARED, str(blocked.status)),
                ("why", f"{blocked.text.strip()}; route {line.split()[-1]} in the access log"),
            ),
            faults,
        )

    async def control_killed(self) -> Result:
        """Traffic goes on without the control plane; the restarted one drives the same proxies again."""
        self._say("killing the control plane under load")
        async with self._users.busy() as record:
            await record.more(_UNDER_LOAD, _PATIENCE)
            await self._mesh.kill(CONTROL)
            await record.more(3 * _UNDER_LOAD, _PATIENCE)
            self._say("restarting it and rolling back to the canary")
            await self._mesh.start_process(CONTROL)
            self._replace_routes(_CANARY)
            restarted = time.monotonic()
            obeyed = await record.until(lambda seen: seen.outcomes[-1].version == "v1", _PATIENCE)
        faults = list(steady_faults(record))
        if not obeyed:
            faults.append(f"{_PATIENCE:g} s after its restart the control plane's change had not reached the proxies")
        fact = ("rollback obeyed", f"{time.monotonic() - restarted:.1f} s after the restart")
        return Result.of(steady_table(record, fact), faults)

    async def _split(self, shares: Mapping[str, float]) -> Result:
        self._say(f"sending {self._requests} requests")
        url = self._sidecar(CALLER).metrics_url
        before = await metrics.scrape(self._session, url, _SERVING)
        record = await self._users.send(self._requests)
        after = await metrics.scrape(self._session, url, _SERVING)
        measured = Measured(record, after.since(before))
        return Result.of(split_table(measured), split_faults(measured, shares))

    async def _until(self, version: str, in_a_row: int) -> None:
        self._say(f"waiting for {version}")
        if await self._users.until(version, in_a_row, _PATIENCE) is None:
            raise StoryStuck(f"{version} did not answer {in_a_row} requests in a row within {_PATIENCE:g} s; {self._users.last_words()}")

    def _replace_routes(self, name: str) -> None:
        """As an editor or `kubectl replace` would: the file appears whole, never half-written."""
        waiting = shutil.copy(self._rollout / name, self._mesh.plan.state / name)
        os.replace(waiting, self._mesh.plan.config / _ROUTES)

    def _sidecar(self, workload: str) -> Proxy:
        sidecar = self._mesh.plan.instances_of(workload)[0].sidecar
        assert sidecar is not None, f"{workload} is of the mesh"
        return sidecar
