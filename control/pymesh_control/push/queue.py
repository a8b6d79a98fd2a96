"""The line of clients that wait for a push: each stands in it at most once, and no change is lost.

The shape is Istio's push queue: a change for a client that waits merges into its place; a change for a client that is being
pushed to waits until that push is done, and then queues the client again.
"""

import asyncio
from typing import Generic, TypeVar

Client = TypeVar("Client")


class PushQueue(Generic[Client]):
    """Clients in the order of their first unserved change, each with the time of that change."""

    def __init__(self) -> None:
        self._waiting: dict[Client, float] = {}
        self._being_pushed: dict[Client, float | None] = {}
        self._ready = asyncio.Event()

    def __repr__(self) -> str:
        return f"<PushQueue {len(self._waiting)} waiting, {len(self._being_pushed)} being pushed>"

    def enqueue(self, client: Client, since: float) -> None:
        """A change of time `since` concerns the client; the earliest time is the one that is kept."""
        if client not in self._being_pushed:
            self._waiting.setdefault(client, since)
            self._ready.set()
        elif self._being_pushed[client] is None:
            self._being_pushed[client] = since

    async def next(self) -> tuple[Client, float]:
        """The client whose turn it is, and the time of its first change; it must be given back with `done`."""
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        client = next(iter(self._waiting))
        since = self._waiting.pop(client)
        self._being_pushed[client] = None
        return client, since

    def done(self, client: Client) -> None:
        """The client's push is over; it queues again if a change came meanwhile."""
        if (since := self._being_pushed.pop(client)) is not None:
            self.enqueue(client, since)

    def forget(self, client: Client) -> None:
        """The client is gone; whatever waits for it is dropped."""
        self._waiting.pop(client, None)
        if client in self._being_pushed:
            self._being_pushed[client] = None
