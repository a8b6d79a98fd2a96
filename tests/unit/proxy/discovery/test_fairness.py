"""Long work lets others have their turn."""

import asyncio

import pytest

from pymesh.tasks import spawn
from pymesh_proxy.discovery import fairness


async def turns_during(work: int) -> int:
    """How many turns another task has while `work` breaths are taken."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = spawn(other(), name="other")
    slices = fairness.Slices()
    for _ in range(work):
        await slices.breathe()
    task.cancel()
    return turns


async def test_long_work_yields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairness, "SLICE", -1.0)
    assert await turns_during(10) == 10


async def test_short_work_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairness, "SLICE", 3600.0)
    assert await turns_during(10) == 0
