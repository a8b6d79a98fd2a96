"""One bootstrap text in a real Envoy and in our proxy at the same time, for tests that compare what connections become."""

import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Child, Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require
from tests.waiting import eventually


@dataclass(frozen=True)
class Twin:
    """One of the two: its process, and the port of each listener by the name that the bootstrap text gives it."""

    name: str
    child: Child
    ports: dict[str, int]
    log: Path
    """What $LOG stands for in the text: an access log's file."""

    async def logged(self, lines: int) -> list[str]:
        """The access log once it has that many lines."""

        async def read() -> list[str]:
            return self.log.read_text().splitlines() if self.log.exists() else []

        return await eventually(read, lambda found: len(found) >= lines)

    async def stats(self) -> dict[str, int]:
        """The numbers of its admin interface's `/stats`, by name."""
        url = f"http://{HOST}:{self.ports['ADMIN']}/stats"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            pairs = (line.split(": ") for line in (await answer.text()).splitlines() if line[-1].isdigit() and "P50" not in line)
            return {name: int(value) for name, value in pairs}


@dataclass(frozen=True)
class Twins:
    envoy: Twin
    ours: Twin
    known: dict[str, object]
    """What the text's other names stand for."""


@asynccontextmanager
async def twins(folder: Path, text: str, *listeners: str, **known: object) -> AsyncIterator[Twins]:
    """Start both. In the text `$NAME` is a listener's port, different in each; `known` are the same in both."""
    ports = FreePorts()
    programs = {
        "envoy": [str(require("envoy")), "--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "50"],
        "ours": ["pymesh-proxy"],
    }  # fmt: skip
    async with Supervisor(folder / "logs") as supervisor:
        started = {}
        for name, program in programs.items():
            chosen = {port: ports.take() for port in (*listeners, "ADMIN")}
            log = folder / f"{name}.access"
            path = folder / f"{name}.yaml"
            path.write_text(string.Template(_ADMIN + ("" if "\nnode:" in text else _NODE) + text).substitute(known, LOG=log, **chosen))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{chosen['ADMIN']}/ready")
            started[name] = Twin(name, child, chosen, log)
        yield Twins(**started, known=known)


_NODE = """
node: {id: twin, cluster: twin}
"""

_ADMIN = """
admin: {address: {socket_address: {address: 127.0.0.1, port_value: $ADMIN}}}
"""
