"""Generated requests, the same in every run: a real Envoy and our proxy agree on them, or ours is the stricter."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.http1 import broken, messages
from tests.interop.conftest import require

from .talks import bootstrap
from .transcript import hear
from .upstream import Upstream

_AT_ONCE = 25
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_TOLD = re.compile(rb'\{"body": .*?, "target": "[^"]*"\}')


def _made(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """That many examples, always the same."""
    found: list[bytes] = []

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found


SOUND = _made(messages().map(lambda message: message.wire()), 100)
BROKEN = _made(broken(), 400)


@dataclass(frozen=True)
class Verdict:
    """What became of some bytes: the final statuses, and the requests that the upstream was asked."""

    statuses: tuple[int, ...]
    told: tuple[str, ...]

    @classmethod
    def of(cls, heard: bytes) -> "Verdict":
        statuses = (int(code) for code in _STATUS.findall(heard))
        return cls(tuple(code for code in statuses if code >= 200), tuple(_essence(each) for each in _TOLD.findall(heard)))


def _essence(told: bytes) -> str:
    """The upstream's account without what changes from one request to the next."""
    document = json.loads(told)
    document["headers"] = [pair for pair in document["headers"] if pair[0] != "x-request-id"]
    return json.dumps(document)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def verdicts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[bytes, tuple[Verdict, Verdict]]]:
    """Envoy's verdict and ours, by the request."""
    folder, ports = tmp_path_factory.mktemp("generated"), FreePorts()
    programs = {"envoy": [str(require("envoy")), "--disable-hot-restart", "--concurrency", "1"], "ours": ["pymesh-proxy"]}
    async with Upstream() as upstream, Supervisor(folder) as supervisor:
        found = []
        for name, program in programs.items():
            port, admin = ports.take(), ports.take()
            path = folder / f"{name}.json"
            path.write_text(json.dumps(bootstrap({"upgrades": port}, admin, upstream.port)))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
            found.append(await _judge(port))
        yield {data: (theirs, ours) for data, theirs, ours in zip([*SOUND, *BROKEN], *found, strict=True)}


async def _judge(port: int) -> list[Verdict]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(data: bytes) -> Verdict:
        async with gate:
            return Verdict.of(await hear(port, data))

    return await asyncio.gather(*map(one, [*SOUND, *BROKEN]))


@pytest.mark.asyncio(loop_scope="module")
async def test_sound_requests_are_passed_on_as_by_envoy(verdicts: dict[bytes, tuple[Verdict, Verdict]]) -> None:
    for data in SOUND:
        theirs, ours = verdicts[data]
        assert ours == theirs, data
        assert ours.statuses == (200,), data


@pytest.mark.asyncio(loop_scope="module")
async def test_of_broken_requests_no_more_is_passed_on_than_by_envoy(verdicts: dict[bytes, tuple[Verdict, Verdict]]) -> None:
    lenient = [data for data in BROKEN if not _is_stricter(*verdicts[data])]
    assert not lenient, [(data, *verdicts[data]) for data in lenient[:3]]


def _is_stricter(theirs: Verdict, ours: Verdict) -> bool:
    """Whether everything that our upstream was asked, Envoy's was asked too."""
    return ours.told == theirs.told[: len(ours.told)]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_generated_requests_are_worth_asking(verdicts: dict[bytes, tuple[Verdict, Verdict]]) -> None:
    refused = sum(any(status >= 400 for status in verdicts[data][1].statuses) for data in BROKEN)
    passed = sum(bool(verdicts[data][1].told) for data in BROKEN)
    assert refused > len(BROKEN) / 4
    assert passed > len(BROKEN) / 10
