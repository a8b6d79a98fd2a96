"""Conversations with a real Envoy and with our proxy take the same course, documented differences aside."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require

from .differences import TALK_DIFFERENCES
from .talks import LISTENERS, TALKS, Talk, bootstrap
from .transcript import Transcript, comparable_talks, talk
from .upstream import Upstream

_NEVER = b"never heard: "
Heard = dict[str, tuple[Transcript, Transcript]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def heard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Heard]:
    """Every talk with both proxies, all at the same time since most of them wait; Envoy's course and ours by the talk's name."""
    folder, ports = tmp_path_factory.mktemp("talks"), FreePorts()
    programs = {"envoy": [str(require("envoy")), "--disable-hot-restart", "--concurrency", "1"], "ours": ["pymesh-proxy"]}
    async with Upstream() as upstream, Supervisor(folder) as supervisor:
        courses = []
        for name, program in programs.items():
            chosen, admin = {listener: ports.take() for listener in LISTENERS}, ports.take()
            path = folder / f"{name}.json"
            path.write_text(json.dumps(bootstrap(chosen, admin, upstream.port)))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
            courses.append(await asyncio.gather(*(_course(chosen[each.listener], each) for each in TALKS)))
        yield {each.name: (theirs, ours) for each, theirs, ours in zip(TALKS, *courses, strict=True)}


async def _course(port: int, each: Talk) -> Transcript:
    try:
        return await talk(port, each.steps, stays=each.stays)
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        return Transcript((), _NEVER + repr(error).encode(), closed=isinstance(error, asyncio.IncompleteReadError))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("each", TALKS, ids=lambda each: each.name)
async def test_the_course_is_envoys(heard: Heard, each: Talk) -> None:
    theirs, ours = comparable_talks(*heard[each.name])
    assert not theirs.tunnel.startswith(_NEVER), "not even Envoy's course is what the talk expects"
    if each.name in TALK_DIFFERENCES:
        assert ours != theirs, f"{TALK_DIFFERENCES[each.name]}: they no longer differ"
    else:
        assert ours == theirs


def test_every_difference_of_a_talk_is_shown() -> None:
    names = [each.name for each in TALKS]
    assert len(set(names)) == len(names)
    assert set(TALK_DIFFERENCES) <= set(names)
