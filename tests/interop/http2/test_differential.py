"""The same frames to a real Envoy and to our proxy, over cleartext and TLS: both answer alike, documented differences aside."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.waiting import eventually

from .cases import CASES, TLS, Case
from .client import Course, talk
from .differences import DIFFERENT, LOGGED_OTHERWISE, REASONS, comparable
from .proxies import both

Heard = dict[str, tuple[Course, Course]]
_AT_A_TIME = 12


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def heard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Heard]:
    """Every case with both proxies; Envoy's course and ours by the case's name."""
    async with both(tmp_path_factory.mktemp("http2")) as proxies:
        courses = []
        for proxy in proxies:
            found = await _courses(proxy.ports)
            courses.append(_with_log(found, await eventually(partial(_logged, proxy.log))))
        yield {each.name: (theirs, ours) for each, theirs, ours in zip(CASES, *courses, strict=True)}


async def _logged(path: Path) -> list[str]:
    """The lines, once no more come."""
    before = _read(path)
    await asyncio.sleep(1.5)  # longer than what a log's lines wait for each other
    return before if _read(path) == before else []


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _with_log(courses: list[Course], lines: list[str]) -> list[Course]:
    by_ports: dict[str, list[str]] = {}
    for line in lines:
        ports, _, rest = line.partition(" ")
        by_ports.setdefault(ports, []).append(rest)
    return [replace(course, ports="", log=tuple(sorted(by_ports.get(course.ports, ())))) for course in courses]


async def _courses(ports: dict[str, int]) -> list[Course]:
    together = [each for each in CASES if not each.alone]
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def course(each: Case) -> Course:
        async with turns:
            port = ports[each.listener]
            return await talk(port, each.steps, tls=each.listener in TLS, settings=each.settings)

    by_name = dict(zip((each.name for each in CASES if not each.alone), await asyncio.gather(*map(course, together)), strict=True))
    for each in CASES:
        if each.alone:  # the connection to the upstream ends, which others would share
            by_name[each.name] = await course(each)
    return [by_name[each.name] for each in CASES]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
async def test_the_course_is_envoys(heard: Heard, each: Case) -> None:
    theirs, ours = comparable(*heard[each.name], same_log=each.name not in LOGGED_OTHERWISE)
    if each.name in DIFFERENT:
        assert ours != theirs, f"{DIFFERENT[each.name]}: they no longer differ"
    else:
        assert ours == theirs


def test_every_difference_is_shown_by_a_case() -> None:
    names = [each.name for each in CASES]
    assert len(set(names)) == len(names)
    assert set(DIFFERENT) <= set(names)
    assert {*DIFFERENT.values(), "GOAWAY", "Access log"} == set(REASONS)


def test_users_are_told_of_every_difference() -> None:
    page = (Path(__file__).parents[3] / "docs" / "DIFFERENCES.md").read_text()
    words = " ".join(page.split())
    assert [title for title, reason in REASONS.items() if f"- **{title}**: {reason}" not in words] == []
