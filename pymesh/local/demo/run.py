"""The demo from start to end: copy the folder, start the mesh, tell the story, print it."""

import re
import time
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from ..errors import StoryBroken
from ..mesh import LocalMesh, Plan
from ..ports import HOST, FreePorts, require_free
from ..screen import addresses, progress
from ..supervisor import Supervisor
from .load import USERS, Users
from .story import Result, Story

_SOURCE = Path(__file__).parent
_GATEWAY_PORT, _STORE_PORT = 31400, 9000  # as the shipped files have them


async def run_demo(console: Console, state: Path, *, once: bool, requests: int, port: int) -> None:
    """Tell the story with a mesh under `state`; without `once` the mesh then stays up until cancelled. Raises LocalError."""
    require_free(port, "the ingress gateway")
    folder = state / "mesh"
    copy_folder(folder, gateway_port=port, store_port=FreePorts().take())
    plan = Plan.make(folder, state)
    started = time.monotonic()
    async with Supervisor(plan.logs) as supervisor, _session() as session:
        with progress(console) as say:
            mesh = LocalMesh(plan, supervisor, say)
            await mesh.start()
            console.print(f"{len(supervisor.children)} processes ready after {time.monotonic() - started:.1f} s")
            users = Users(session, f"http://{HOST}:{port}")
            story = Story(mesh, session, users, _SOURCE / "rollout", requests, say)
            results = await _tell(console, story)
        _summarise(console, results)
        if not once:
            addresses(console, plan)
            await supervisor.watch()
    if broken := [title for title, result in results.items() if not result.held]:
        raise StoryBroken(broken)


def copy_folder(target: Path, *, gateway_port: int, store_port: int) -> None:
    """Copy the demo's mesh folder with the two fixed ports of its files replaced."""
    ports = {str(_GATEWAY_PORT): str(gateway_port), str(_STORE_PORT): str(store_port)}
    either = re.compile(rf"\b({'|'.join(ports)})\b")
    for source in (_SOURCE / "mesh.yaml", *sorted((_SOURCE / "config").glob("*.yaml"))):
        copy = target / source.relative_to(_SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(either.sub(lambda match: ports[match[0]], source.read_text()))


async def _tell(console: Console, story: Story) -> dict[str, Result]:
    results = {}
    for title, step in story.steps.items():
        console.rule(title, align="left")
        result = results[title] = await step()
        console.print(result.table)
        for fault in result.faults:
            console.print(f"NOT HELD: {fault}", style="red", markup=False, soft_wrap=True)
    return results


def _summarise(console: Console, results: dict[str, Result]) -> None:
    console.rule("the story", align="left")
    table = Table("step", "held")
    for title, result in results.items():
        table.add_row(title, "yes" if result.held else "[red]NO[/red]")
    console.print(table)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=USERS + 4))
