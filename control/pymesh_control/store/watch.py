"""Events of a folder and the folders in it: that something happened, and where. What there is now is found by looking."""

from collections.abc import AsyncIterator
from pathlib import Path

import watchfiles

SETTLE_MS = 50
"""How long events are collected before the folder is looked at; an editor's save makes several."""

LOOK_ANYWAY_MS = 5000
"""Without events the folder is still looked at this often: network file systems and full inotify queues lose them."""


def events(folder: Path) -> AsyncIterator[list[str]]:
    """The absolute paths that were touched, each time that something was; an empty list when nothing was for a while."""
    return _batches(folder.absolute())


async def _batches(folder: Path) -> AsyncIterator[list[str]]:
    batches = watchfiles.awatch(
        folder,
        watch_filter=None,
        debounce=4 * SETTLE_MS,
        step=SETTLE_MS,
        rust_timeout=LOOK_ANYWAY_MS,
        yield_on_timeout=True,
    )
    async for changes in batches:
        yield [name for _, name in changes]
