"""Conversations at random, cut off anywhere: when they are over nothing counts any more, and each request has its line in the log.

A seed that fails is a conversation to replay: everything that happens in it follows from the number.
"""

import contextlib
import random

import h2.exceptions
import pytest

from pymesh_proxy.http.mirror import Mirroring
from pymesh_proxy.route.internal_redirect import InternalRedirects
from pymesh_proxy.route.retry_policy import RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import Limits, UpstreamProtocol

from .players import H2Client, H2Upstream, http2

SEEDS = 160
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SWITCH = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
ASKED = (GET, GET * 3, POST, POST + b"some", POST + b"all of it", CHUNKED + b"2\r\nhi\r\n", CHUNKED + b"0\r\n\r\n", SWITCH, b"x" * 900)
ANSWERED = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 500, b"x" * 400,
    b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"0\r\n\r\n",
    b"HTTP/1.1 302 X\r\nLocation: http://b/x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly",
)  # fmt: skip
GONE = (h2.exceptions.H2Error, KeyError, RuntimeError)
"""What a player says to a move that is none any more: its stream or its half of the connection has ended."""


def route(chance):
    retry = RetryPolicy(
        conditions=frozenset({"reset", "5xx"}), num_retries=2, base_interval=0.01, max_interval=0.05,
        per_try_timeout=chance.choice([0.0, 1.0]), per_try_idle_timeout=chance.choice([0.0, 1.5]),
    )  # fmt: skip
    return forward_to(
        "up", timeout=chance.choice([0.0, 3.0]), retry=chance.choice([None, retry]),
        internal_redirects=chance.choice([None, InternalRedirects(maximum=2)]),
        mirrors=chance.choice([(), (Mirroring(route=forward_to("up")),)]),
    )  # fmt: skip


def cluster(chance, up):
    settings = {"protocol": UpstreamProtocol.HTTP2, "http2": http2(max_concurrent_streams=chance.choice([1, 100]))}
    return static_cluster(
        "up", *[(f"10.0.0.{number}", 80) for number in range(1, chance.choice([2, 3]))],
        limits=Limits(max_connections=chance.choice([1, 2, 99]), max_pending_requests=chance.choice([1, 99]), max_requests=9),
        buffer_limit=chance.choice([200, 65536]), idle_timeout=5.0, **(settings if up == "HTTP/2" else {}),
    )  # fmt: skip


class Conversation:
    """Clients and upstreams of one mesh, and what they do next."""

    def __init__(self, seed):
        random.seed(seed)  # the proxy's own draws
        self.chance = chance = random.Random(seed)
        self.down, self.up = (chance.choice(["HTTP/1", "HTTP/2"]) for _ in range(2))
        self.mesh = Mesh(
            route=route(chance), cluster=cluster(chance, self.up), stream_idle_timeout=4.0, idle_timeout=20.0, drain_timeout=2.0,
            request_timeout=chance.choice([0.0, 2.5]), max_stream_duration=chance.choice([0.0, 5.0]), upgrades=frozenset({b"websocket"}),
        )  # fmt: skip
        self.mesh.scope.buffer_limit = chance.choice([300, 65536])
        self.clients, self.upstreams = [], []

    def connect(self):
        client = self.mesh.connect(http2=self.down == "HTTP/2")
        self.clients.append(client.become(H2Client) if self.down == "HTTP/2" else client)

    async def settle(self):
        await self.mesh.settle()
        while not self.mesh.loop.accepted.empty():
            server = self.mesh.loop.accepted.get_nowait()
            self.upstreams.append(server.become(H2Upstream) if self.up == "HTTP/2" else server)
        await self.mesh.settle()

    def ask(self):
        client = self.chance.choice(self.clients)
        if self.down == "HTTP/1":
            client.send(self.chance.choice(ASKED))
            return
        body, end = b"y" * self.chance.choice([0, 10, 900]), self.chance.random() < 0.6
        if client.messages and self.chance.random() < 0.3:
            client.data(self.chance.choice(list(client.messages)), body, end)
        else:
            client.ask(self.chance.choice(["GET", "POST", "HEAD"]), body=body, end=end)

    def answer(self):
        server = self.chance.choice(self.upstreams)
        if self.up == "HTTP/1":
            server.send(self.chance.choice(ANSWERED))
        elif server.messages:
            number, body = self.chance.randrange(len(server.messages)), b"z" * self.chance.choice([0, 10, 900])
            server.answer(number, self.chance.choice([200, 503]), body=body, end=self.chance.random() < 0.7)

    def disturb(self):
        player = self.chance.choice(self.clients + self.upstreams)
        if isinstance(player, (H2Client, H2Upstream)) and player.messages and self.chance.random() < 0.5:
            player.reset(self.chance.choice(list(player.messages)), self.chance.choice([7, 8]))
            return
        transport = player.transport if isinstance(player, (H2Client, H2Upstream)) else player._transport
        moves = (transport.close, transport.reset, transport.pause_reading, transport.resume_reading, transport.write_eof)
        self.chance.choice(moves)()

    async def go_on(self):
        """One move, and what follows from it."""
        move = self.chance.choices(["ask", "answer", "disturb", "wait", "connect", "drain"], [30, 35, 15, 15, 4, 1])[0]
        with contextlib.suppress(*GONE):
            if move == "wait":
                await self.mesh.advance(self.chance.choice([0.02, 0.1, 1.1, 2.0]))
            elif move == "drain":
                self.mesh.scope.drain()
            elif move != "answer" or self.upstreams:
                getattr(self, move)()
        await self.settle()

    async def end(self):
        """Everybody leaves, and all the time that anybody could wait for passes."""
        for _ in range(12):
            for player in self.clients + self.upstreams:
                (player.transport if isinstance(player, (H2Client, H2Upstream)) else player._transport).abort()
            await self.settle()
            await self.mesh.advance(100)

    def left(self):
        """What still counts."""
        up, stats = self.mesh.runtime.clusters.get("up"), self.mesh.options.stats
        counts = {name: getattr(up.breaker, name) for name in ("connections", "pending", "requests", "retries")}
        for name in ("cx_active", "rq_active", "rq_pending_active"):
            counts[f"endpoint {name}"] = sum(getattr(endpoint, name) for endpoint in up.endpoints)
        counts |= {"requests down": stats.downstream_rq_active, "clients": stats.downstream_cx_active, "scope": len(self.mesh.scope)}
        return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
async def test_nothing_is_left_of_a_conversation(first):
    for seed in range(first, first + 20):
        told = Conversation(seed)
        async with told.mesh as mesh:
            told.connect()
            for _ in range(told.chance.randrange(5, 40)):
                await told.go_on()
            await told.end()
            logged = [exchange for exchange in mesh.exchanges if exchange.details != "internal_redirect"]
            assert (seed, told.left(), len(logged)) == (seed, {}, mesh.options.stats.downstream_rq_total)
