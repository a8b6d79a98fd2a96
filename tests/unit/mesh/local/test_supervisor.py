"""Processes are started, awaited, and never left behind."""

import asyncio
import errno
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local import errors
from pymesh.local.ports import FreePorts, require_free
from pymesh.local.process import Child, Command, locate
from pymesh.local.supervisor import Supervisor

FOREVER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
child.wait()
"""


def python(code: str, name: str = "child") -> Command:
    return Command(name=name, argv=["python", "-c", code])


async def said(child: Child) -> str:
    """The first line the child wrote."""
    async with asyncio.timeout(20):
        while not (text := child.log.read_text()).endswith("\n"):
            await child.stays_up(0.01)
    return text.strip()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie (orphans may wait for a lazy init to reap them)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    """Wait for the end of a process that is nobody's child here (a pidfd is readable once its process has ended)."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_no_child_outlives_the_block(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(python(FOREVER))
        assert child.running
    assert not child.running


async def test_no_child_outlives_a_failing_block(tmp_path: Path) -> None:
    children: list[Child] = []

    async def fail() -> None:
        async with Supervisor(tmp_path) as supervisor:
            children.append(await supervisor.start(python(FOREVER)))
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await fail()
    assert not children[0].running


async def test_a_childs_own_children_end_with_it(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        grandchild = int(await said(await supervisor.start(python(FAMILY))))
        assert is_alive(grandchild)
    await gone(grandchild)


async def test_workers_of_a_killed_child_end_when_the_block_ends(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(python(FAMILY))
        grandchild = int(await said(child))
        os.kill(child.pid, signal.SIGKILL)
        await child.exit()
        assert is_alive(grandchild)
    await gone(grandchild)


async def test_a_child_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(python(STUBBORN))
        await said(child)
        await child.stop(grace=0.05)
        assert await child.exit() == -signal.SIGKILL


async def test_a_cancelled_stop_still_stops_every_child(tmp_path: Path) -> None:
    entered = asyncio.Event()
    children: list[Child] = []

    async def run() -> None:
        async with Supervisor(tmp_path) as supervisor:
            children.append(await supervisor.start(python(FOREVER)))
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(run())
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not children[0].running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children of a killed parent on request")
async def test_children_of_a_killed_supervisor_die(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib, signal
from pymesh.local.process import Child, Command
async def main():
    child = await Child.start(Command(name="inner", argv=["python", "-c", {FOREVER!r}]), pathlib.Path({str(tmp_path / "inner.log")!r}))
    print(child.pid, flush=True)
    signal.pause()
asyncio.run(main())
"""
    async with Supervisor(tmp_path) as supervisor:
        outer = await supervisor.start(python(code, "outer"))
        inner = int(await said(outer))
        assert is_alive(inner)
        os.kill(outer.pid, signal.SIGKILL)
        await gone(inner)


async def test_ready_returns_once_the_address_answers_200(tmp_path: Path) -> None:
    statuses = iter([503, 503, 200])

    async def health(_: web.Request) -> web.Response:
        return web.Response(status=next(statuses))

    app = web.Application()
    app.router.add_get("/ready", health)
    async with TestServer(app) as server, Supervisor(tmp_path) as supervisor:
        await supervisor.ready(await supervisor.start(python(FOREVER)), str(server.make_url("/ready")))
    assert next(statuses, None) is None


async def test_a_child_that_ends_before_it_is_ready_is_told_with_its_last_words(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(python("import sys; sys.exit('port 15010 is taken')", "control"))
        with pytest.raises(errors.ChildFailed, match=r"(?s)control ended with exit code 1.*port 15010 is taken"):
            await supervisor.ready(child, "http://127.0.0.1:1/ready")


async def test_a_child_that_never_gets_ready_is_told_after_the_time_allowed(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(python(FOREVER, "slow"))
        with pytest.raises(errors.NotReady, match="slow was not ready"):
            await supervisor.ready(child, "http://127.0.0.1:1/ready", within=0.05)


async def test_watch_tells_which_process_ended(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(python(FOREVER, "steady"))
        victim = await supervisor.start(python(FOREVER, "victim"))
        victim.signal(signal.SIGKILL)
        with pytest.raises(errors.ChildFailed, match="victim was killed by signal 9"):
            await supervisor.watch()


async def test_a_commands_output_is_returned_and_its_errors_are_logged(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        code = "import sys; print('token'); print('warning', file=sys.stderr)"
        assert await supervisor.output(python(code, "good")) == "token\n"
    assert (tmp_path / "good.log").read_text() == "warning\n"


async def test_a_failed_command_raises(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(errors.ChildFailed, match="bad ended with exit code 3"):
            await supervisor.output(python("raise SystemExit(3)", "bad"))


async def test_a_child_without_health_address_is_ready_when_it_accepts_connections(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server, Supervisor(tmp_path) as supervisor:
        port = server.sockets[0].getsockname()[1]
        await supervisor.ready(await supervisor.start(python(FOREVER)), f"tcp://127.0.0.1:{port}")


def test_a_missing_program_is_named() -> None:
    with pytest.raises(errors.ProgramMissing, match="'no-such-program'"):
        locate("no-such-program")


def test_a_relative_program_is_looked_for_in_the_folder_of_its_command(tmp_path: Path) -> None:
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(errors.ProgramMissing, match="may not be executed"):
        locate("./serve", tmp_path)
    program.chmod(0o755)
    assert Path(locate("./serve", tmp_path)) == program


def test_a_port_that_needs_a_right_is_said_with_its_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(errors.PortForbidden, match=r"may not listen on port 80 of 127\.0\.0\.1, needed for the gateway"):
        require_free(80, "the gateway")


def test_a_taken_port_is_said_with_its_purpose() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(errors.PortTaken, match=f"port {port} on 127.0.0.1, needed for the gateway, is taken"):
            require_free(port, "the gateway")
    require_free(port, "the gateway")


@pytest.mark.skipif(sys.platform != "linux", reason="needs abstract sockets")
def test_a_port_stays_its_meshs_own_while_nobody_listens_on_it() -> None:
    port = FreePorts().take()
    with pytest.raises(errors.NoFreePort):
        FreePorts(range(port, port + 1)).take()


def test_free_ports_are_all_different_and_skip_taken_ones() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        with pytest.raises(errors.NoFreePort):
            FreePorts(range(taken, taken + 1)).take()
    ports = FreePorts()
    assert len({ports.take() for _ in range(50)}) == 50


async def test_a_line_of_the_log_is_waited_for(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(python(FOREVER))
        assert await child.says("up", within=20) == "up"
        assert await child.says("down", within=0) is None


async def test_waiting_for_a_line_of_a_child_that_ends_is_told(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(errors.ChildFailed, match="exit code 4"):
            await (await supervisor.start(python("raise SystemExit(4)"))).says("up", within=20)
