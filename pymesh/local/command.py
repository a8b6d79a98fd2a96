"""`pymesh demo` and `pymesh up`: exit 0 when all went as promised, 1 with a sentence when not, 130 after Ctrl-C.

What they run is imported when they are run: other commands of `pymesh` should not wait for it.
"""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from .errors import LocalError, NoFolder

_INTERRUPTED = 130  # as shells report a process ended by SIGINT

_Work = Callable[[Path], Awaitable[None]]


@click.command()
@click.option("--once", is_flag=True, help="End after the story instead of staying up.")
@click.option("--requests", type=click.IntRange(min=50), default=1000, show_default=True, help="Requests of each measured step.")
@click.option("--port", type=click.IntRange(1, 65535), default=31400, show_default=True, help="Port of the ingress gateway.")
@click.option("--keep-dir", is_flag=True, help="Keep the folder with configuration, certificates and logs.")
def demo(once: bool, requests: int, port: int, keep_dir: bool) -> None:
    """Run the canary story on this machine: a whole mesh, real traffic, seven steps."""
    from .demo.run import run_demo

    console = Console()
    _execute(console, lambda state: run_demo(console, state, once=once, requests=requests, port=port), keep_dir)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--keep-dir", is_flag=True, help="Keep the folder with certificates and logs.")
def up(folder: Path, keep_dir: bool) -> None:
    """Run the mesh that FOLDER describes: mesh.yaml names the processes, config/ holds the Istio resources."""
    console = Console()
    _execute(console, lambda state: _run_folder(console, folder.resolve(), state), keep_dir)


async def _run_folder(console: Console, folder: Path, state: Path) -> None:
    from .calls import undeclared
    from .mesh import LocalMesh, Plan
    from .screen import addresses, progress
    from .supervisor import Supervisor

    plan = Plan.make(folder, state)
    for line in plan.overruled:
        console.print(f"pymesh: {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    async with Supervisor(plan.logs) as supervisor:
        with progress(console) as say:
            await LocalMesh(plan, supervisor, say).start()
        addresses(console, plan)
        async for sentence in undeclared(plan):
            console.print(f"warning: {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        await supervisor.watch()


def _execute(console: Console, work: _Work, keep_dir: bool) -> None:
    """Run `work` with a folder of its own; the folder outlives it only if asked for, or if its logs must explain a failure."""
    try:
        with _folder(console, keep_dir) as state:
            asyncio.run(_until_signalled(work(state)))
    except LocalError as error:
        console.print(f"pymesh: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(_INTERRUPTED)


@contextmanager
def _folder(console: Console, keep: bool) -> Iterator[Path]:
    """A folder for one run; raises NoFolder."""
    try:
        state = Path(tempfile.mkdtemp(prefix="pymesh-"))
    except OSError as error:
        raise NoFolder(f"no folder for certificates and logs can be made below {tempfile.gettempdir()}: {error.strerror}") from error
    try:
        yield state
    except Exception:
        keep = keep or any(state.rglob("*.log"))
        raise
    finally:
        if keep:
            console.print(f"the logs are in {state}", soft_wrap=True)
        else:
            shutil.rmtree(state)


async def _until_signalled(work: Awaitable[None]) -> None:
    """Let SIGTERM and SIGHUP end the work as Ctrl-C does: by cancellation, so that every `finally` runs."""
    task = asyncio.current_task()
    assert task is not None, "runs as the main task"
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    await work
