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


class Client:
    """Writes down what it is told; says that it has taken it when the test wants."""

    def __init__(self):
        self.pushed = []
        self.taken = None

    def push(self, since, done):
        self.pushed.append(since)
        self.taken = done


class Broken:
    def push(self, since, done):
        raise ZeroDivisionError


async def test_a_client_that_takes_its_time_keeps_nobody_waiting_and_gets_later_changes_as_one():
    slow, quick, broken = Client(), Client(), Broken()
    pusher = Pusher()
    pusher.start()
    for since in (1.0, 2.0, 3.0):
        for client in (slow, broken, quick):
            pusher.queue.enqueue(client, since)
        for _ in range(10):
            await settle()
        quick.taken()
    assert (slow.pushed, quick.pushed) == ([1.0], [1.0, 2.0, 3.0])
    slow.taken()
    await settle()
    assert slow.pushed == [1.0, 2.0]
    await pusher.stop()
