"""One bootstrap file runs in a real Envoy and in our proxy, and clients cannot tell which one answers, documented differences aside."""

import re
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require

from .cases import CASES, Case
from .differences import DIFFERENCES, comparable, difference, documented
from .upstream import Upstream
from .wire import ask

_LISTENERS = ("PLAIN", "EDGE", "INNER", "ODD")


@dataclass(frozen=True)
class Pair:
    """Both proxies: the port of each listener by its name."""

    envoy: dict[str, int]
    ours: dict[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both proxies in front of one upstream."""
    folder, ports = tmp_path_factory.mktemp("differential"), FreePorts()
    programs = {"envoy": [str(require("envoy")), "--disable-hot-restart", "--concurrency", "1"], "ours": ["pymesh-proxy"]}
    async with Upstream() as upstream, Supervisor(folder) as supervisor:
        started = {}
        for name, program in programs.items():
            chosen = {port: ports.take() for port in (*_LISTENERS, "ADMIN")}
            path = folder / f"{name}.yaml"
            path.write_text(_bootstrap(UPSTREAM=upstream.port, DEAD=ports.take(), **chosen))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{chosen['ADMIN']}/ready")
            started[name] = {port.lower(): number for port, number in chosen.items()}
        yield Pair(**started)


def _bootstrap(**ports: int) -> str:
    text = (Path(__file__).parent / "bootstrap.yaml").read_text()
    return string.Template(text).substitute(ports)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_answer_is_envoys(pair: Pair, case: Case) -> None:
    theirs, ours = comparable(
        await ask(pair.envoy[case.listener], case.request),
        await ask(pair.ours[case.listener], case.request),
    )  # fmt: skip
    if known := difference(case.name):
        assert (theirs.status, ours.status) == known.status, known.title
        assert ours != theirs, f"{known.title}: they no longer differ"
    else:
        assert ours == theirs


def test_every_difference_is_shown_by_a_case() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case for each in DIFFERENCES for case in each.cases} <= set(names)


def test_users_are_told_of_every_difference() -> None:
    page = (Path(__file__).parents[3] / "docs" / "DIFFERENCES.md").read_text()
    own = page.partition("\n## ")[0]
    told = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", own, re.MULTILINE)[1:]  # without the head
    assert dict(told) == documented()
