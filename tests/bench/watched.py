"""Our proxy, with one thing more: at SIGUSR2 it writes down how many tasks its loop has.

    watched.py FILE ARGUMENTS-OF-PYMESH-PROXY

Tasks cannot be counted from outside a process, and a proxy in use has no reason to tell them.
"""

import asyncio
import signal
import sys
from pathlib import Path

from pymesh_proxy.main import main


def watch(path: Path) -> None:
    """Answer SIGUSR2, which arrives between two callbacks of the running loop."""

    def tell(number: int, frame: object) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(str(len(asyncio.all_tasks())))
        fresh.rename(path)

    signal.signal(signal.SIGUSR2, tell)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
