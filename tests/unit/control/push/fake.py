"""A clock that tests move by hand."""

import asyncio


class FakeClock:
    def __init__(self):
        self.time = 0.0
        self._sleepers = []

    def now(self):
        return self.time

    async def sleep(self, seconds):
        due = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time + seconds, due))
        await due

    async def advance(self, seconds):
        """Move to a later time, waking every sleeper on the way in order."""
        end = self.time + seconds
        await settle()
        while due := [entry for entry in self._sleepers if entry[0] <= end + 1e-9]:
            entry = min(due, key=lambda entry: entry[0])
            self._sleepers.remove(entry)
            self.time = max(self.time, entry[0])
            entry[1].set_result(None)
            await settle()
        self.time = end
        await settle()


async def settle():
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)
