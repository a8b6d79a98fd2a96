"""A filter that waits on one stream of a connection: what the other streams, the held body and a reset make of it."""

import asyncio

import pytest

from pymesh_proxy.filters import LocalReply
from pymesh_proxy.filters.chain import FilterChain, Link

from .players import CLIENTS, client, mesh, upstream

DOWN = tuple(CLIENTS)


class Gate:
    """A filter that waits on requests for /slow."""

    def __init__(self, verdict=None):
        self.open = asyncio.Event()
        self.verdict = verdict

    def for_route(self, config):
        return self

    def on_request(self, exchange):
        return self.wait() if exchange.head.path == b"/slow" else None

    async def wait(self):
        await self.open.wait()
        return self.verdict

    def on_route(self, exchange):
        pass

    def on_response(self, exchange):
        exchange.response.add(b"x-gate", b"passed")

    def on_end(self, exchange):
        pass


def gated(gate):
    return mesh(chain=FilterChain((Link("gate", gate),)))


async def test_other_streams_do_not_wait():
    gate = Gate()
    async with gated(gate) as running:
        talker = client(running)
        slow, quick = talker.ask(path="/slow"), talker.ask(path="/quick")
        server = await upstream(running)
        server.answer(body=b"ok")
        await running.settle()
        assert (quick.status, quick.headers["x-gate"], slow.start) == (200, "passed", {})
        gate.open.set()
        await running.settle()
        server.answer(body=b"late")
        await running.settle()
        assert (slow.status, slow.body) == (200, b"late")


@pytest.mark.parametrize("down", DOWN)
async def test_the_body_and_its_trailers_come_behind_the_wait(down):
    gate = Gate()
    async with gated(gate) as running:
        talker = client(running, down)
        talker.ask("POST", "/slow", body=b"body", trailers={"x-last": "1"})
        await running.settle()
        gate.open.set()
        server = await upstream(running)
        await running.settle()
        asked = server.asked()
        assert (asked.body, asked.trailers, asked.ended) == (b"body", {"x-last": "1"}, True)


async def test_a_reset_ends_the_wait():
    gate = Gate()
    async with gated(gate) as running:
        talker = client(running)
        talker.ask(path="/slow")
        await running.settle()
        talker.reset(1)
        await running.settle()
        gate.open.set()
        await running.settle()
        assert [(one.flags, one.status) for one in running.exchanges] == [("DR", 0)]
        assert running.loop.accepted.empty()


@pytest.mark.parametrize("down", DOWN)
async def test_an_answer_after_the_wait(down):
    gate = Gate(LocalReply(status=429, body=b"enough", flags="RL"))
    async with gated(gate) as running:
        answer = client(running, down).ask("POST", "/slow", body=b"body")
        await running.settle()
        gate.open.set()
        await running.settle()
        assert (answer.status, answer.body, answer.ended) == (429, b"enough", True)
        assert running.exchanges[0].flags == "RL"
