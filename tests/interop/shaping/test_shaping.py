"""Routes shape requests and answers as a real Envoy's do, and mirrors are sent the same copies."""

import asyncio
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require
from tests.interop.differential.cases import Case
from tests.interop.differential.differences import comparable
from tests.interop.differential.upstream import Asked, Upstream
from tests.interop.differential.wire import Answer, ask

from .cases import CASES, COPIED

_LISTENERS = ("ROUTES", "ODD", "MIRRORS")
_PATIENCE = 20.0  # seconds for a copy
_QUIET = 0.2  # seconds in which no further one comes
_VARYING = {"x-request-id", "x-forwarded-for"}


class Copies(Upstream):
    """The upstream of mirrors: what it is asked, it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[Asked] = asyncio.Queue()

    async def _respond(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.heard.put_nowait(asked)
        writer.write(b"HTTP/1.1 500 Nobody sees this\r\ncontent-length: 0\r\n\r\n")


@dataclass
class World:
    """Both proxies, by listener the port of each, and the upstream that gets the copies of both."""

    copies: Copies
    ports: dict[str, dict[str, int]] = field(default_factory=dict)

    async def asked(self, proxy: str, case: Case) -> Answer:
        """What a proxy answers."""
        return await ask(self.ports[proxy][case.listener], case.request)

    async def copied(self, proxy: str, case: Case, count: int) -> list[Asked]:
        """The copies that a request causes, in the order of their hosts."""
        await self.asked(proxy, case)
        heard = [await asyncio.wait_for(self.copies.heard.get(), _PATIENCE) for _ in range(count)]
        return sorted(map(_comparable, heard), key=lambda one: one.headers)


def _comparable(asked: Asked) -> Asked:
    """Without what changes from one request to the next; the sender's address, last of x-forwarded-for, is the machine's or loopback's."""
    headers = [(name, value) for name, value in asked.headers if name not in _VARYING]
    headers += [("x-forwarded-for", value.rpartition(",")[0]) for name, value in asked.headers if name == "x-forwarded-for"]
    return replace(asked, headers=sorted(headers))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder, ports = tmp_path_factory.mktemp("shaping"), FreePorts()
    programs = {"envoy": [str(require("envoy")), "--disable-hot-restart", "--concurrency", "1"], "ours": ["pymesh-proxy"]}
    template = string.Template((Path(__file__).parent / "bootstrap.yaml").read_text().replace("$$", "$$$$"))
    async with Upstream() as upstream, Copies() as copies, Supervisor(folder) as supervisor:
        made = World(copies)
        for name, program in programs.items():
            chosen = {port: ports.take() for port in (*_LISTENERS, "ADMIN")}
            path = folder / f"{name}.yaml"
            path.write_text(template.safe_substitute(UPSTREAM=upstream.port, COPIES=copies.port, DEAD=ports.take(), **chosen))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{chosen['ADMIN']}/ready")
            made.ports[name] = {listener.lower(): number for listener, number in chosen.items()}
            made.ports[name]["plain"] = made.ports[name]["routes"]
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_answer_is_envoys(world: World, case: Case) -> None:
    theirs, ours = comparable(await world.asked("envoy", case), await world.asked("ours", case))
    assert ours == theirs


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("case", "count"), COPIED, ids=lambda case: getattr(case, "name", None))
async def test_the_copies_are_envoys(world: World, case: Case, count: int) -> None:
    theirs = await world.copied("envoy", case, count)
    assert await world.copied("ours", case, count) == theirs
    assert len(theirs) == count


@pytest.mark.asyncio(loop_scope="module")
async def test_there_were_no_other_copies(world: World) -> None:
    await asyncio.sleep(_QUIET)
    assert world.copies.heard.empty()


def test_names_are_their_own() -> None:
    names = [case.name for case in (*CASES, *(case for case, _ in COPIED))]
    assert len(set(names)) == len(names) > 100
