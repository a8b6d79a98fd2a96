"""Each client has none or one outstanding push, and no change is lost."""

import asyncio

from pymesh_control.push.pusher import Pusher
from pymesh_control.push.queue import PushQueue

from .fake import settle


async def test_clients_are_served_in_the_order_of_their_first_change():
    queue = PushQueue()
    for client, since in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        queue.enqueue(client, since)
    assert [await queue.next(), await queue.next()] == [("a", 1.0), ("b", 2.0)]
    assert repr(queue) == "<PushQueue 0 waiting, 2 being pushed>"


async def test_a_change_during_a_push_queues_the_client_once_more_when_it_is_done():
    queue = PushQueue()
    queue.enqueue("a", 1.0)
    await queue.next()
    queue.enqueue("a", 2.0)
    queue.enqueue("a", 3.0)
    assert repr(queue) == "<PushQueue 0 waiting, 1 being pushed>"
    queue.done("a")
    assert await queue.next() == ("a", 2.0)
    queue.done("a")
    assert repr(queue) == "<PushQueue 0 waiting, 0 being pushed>"


async def test_a_client_that_left_is_not_queued_again():
    queue = PushQueue()
    queue.enqueue("a", 1.0)
    await queue.next()
    queue.enqueue("a", 2.0)
    queue.enqueue("b", 2.0)
    queue.forget("a")
    queue.forget("b")
    queue.done("a")
    assert repr(queue) == "<PushQueue 0 waiting, 0 being pushed>"


async def test_waiting_for_a_turn_ends_with_the_next_change():
    queue = PushQueue()
    turn = asyncio.ensure_future(queue.next())  # noqa: TID251  the test holds the reference
    await settle()
    assert not turn.done()
    queue.enqueue("a", 1.0)
    assert await turn == ("a", 1.0)


class SlowClient:
    """Counts how many of its kind are being pushed to at once."""

    pushing = 0
    most = 0

    def __init__(self, gate):
        self.gate = gate
        self.pushed = []

    async def push(self, since):
        SlowClient.pushing += 1
        SlowClient.most = max(SlowClient.most, SlowClient.pushing)
        await self.gate.wait()
        SlowClient.pushing -= 1
        self.pushed.append(since)


async def test_pushes_at_once_are_bounded_and_all_clients_get_theirs():
    gate = asyncio.Event()
    clients = [SlowClient(gate) for _ in range(7)]
    pusher = Pusher(concurrency=3)
    pusher.start()
    for client in clients:
        pusher.queue.enqueue(client, 1.0)
    await settle()
    assert SlowClient.pushing == 3
    gate.set()
    await settle()
    assert SlowClient.most == 3
    assert all(client.pushed == [1.0] for client in clients)
    await pusher.stop()
