"""A client that does not take its responses costs its own stream, and nobody else's turn."""

import asyncio

import pytest

from pymesh.tasks import spawn
from pymesh.xds import types
from pymesh_control.ads.delta import DeltaSession
from pymesh_control.ads.outbox import Outbox
from pymesh_control.ads.stream import Stream
from pymesh_control.ads.window import Window
from pymesh_control.errors import SlowClient
from pymesh_control.metrics import Metrics

from .client import ask_delta, world
from .served import node

TIMEOUT = 10


async def silent():
    """A client that asks nothing more, and does not hang up."""
    await asyncio.Event().wait()
    yield


async def stuck(_response):
    await asyncio.Event().wait()


def stream(window=None):
    content = world(cds={"a": "1"})
    metrics = Metrics()
    session = DeltaSession(content, metrics)
    return Stream(node(), None, session, lambda: content, lambda well: None, metrics, window or Window()), metrics


async def test_a_client_that_takes_too_long_is_dropped_and_counted():
    slow, metrics = stream(Window(timeout=0))
    with pytest.raises(SlowClient, match="did not take a response"):
        await slow.serve(ask_delta(types.CLUSTER), silent(), stuck)
    assert metrics.registry.get_sample_value("pilot_xds_write_timeout") == 1


async def test_a_push_to_a_client_that_vanishes_ends_with_it():
    vanishing, _ = stream()
    writing = asyncio.Event()

    async def write(response):
        writing.set()
        await stuck(response)

    serving = spawn(vanishing.serve(ask_delta(types.CLUSTER), silent(), write), name="serve")
    await writing.wait()
    over = asyncio.Event()
    vanishing.push(0.0, over.set)
    await asyncio.sleep(0)
    assert not over.is_set()
    serving.cancel()
    async with asyncio.timeout(TIMEOUT):
        await over.wait()
    again = asyncio.Event()
    vanishing.push(0.0, again.set)  # one that was queued before it vanished finds nothing to wait for
    assert again.is_set()


async def test_an_outbox_hands_out_in_order_what_was_put_before_and_while_it_is_read():
    outbox = Outbox()
    outbox.put(["a", "b"])
    taken = []
    async for response in outbox:
        taken.append(response)
        if response == "a":
            outbox.put(["c"])
            outbox.end()
    assert taken == ["a", "b", "c"]
    await outbox.drained()
