"""WebSocket and CONNECT through every pair of versions."""

import pytest

from pymesh_proxy.testing import forward_to

from .players import client, http2, mesh, upstream

VERSIONS = ("HTTP/1", "HTTP/2")
all_four = pytest.mark.parametrize(("down", "up"), [(down, up) for down in VERSIONS for up in VERSIONS])
EXTENDED = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "a.test"),
            ("sec-websocket-version", "13")]  # fmt: skip
CONNECT = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n"
PLAIN = [(":method", "CONNECT"), (":authority", "far.test:443")]
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"


class Ends:
    """Both ends of a tunnel: as bytes over HTTP/1, as DATA over HTTP/2."""

    def __init__(self, running, down, up):
        self.running, self.down, self.up = running, down, up
        self.before = 0

    async def open(self, request=None, fields=None):
        running = self.running
        if self.down == "HTTP/1":
            self.client = running.connect()
            self.client.send(request or UPGRADE)
        else:
            self.client = client(running)
            await running.settle()
            self.client.h2.send_headers(1, fields or EXTENDED)
            self.client.flush()
        if self.up == "HTTP/1":
            self.server = await running.accepted()
            await running.settle()
            self.head, self.server.received = self.server.received, b""
        else:
            self.server = await upstream(running, ENABLE_CONNECT_PROTOCOL=1)
            self.head = self.server.asked()

    async def agree(self, first_line=b"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"):
        if self.up == "HTTP/1":
            self.server.send(b"HTTP/1.1 " + first_line + b"\r\nx-up: 1\r\n\r\n")
        else:
            self.server.answer(headers=[("x-up", "1")], end=False)
        await self.running.settle()
        if self.down == "HTTP/1":
            self.answer, _, self.client.received = self.client.received.partition(b"\r\n\r\n")
        else:
            self.answer = self.client.message(1)

    async def up_with(self, data):
        if self.down == "HTTP/1":
            self.client.send(data)
        else:
            self.client.data(1, data)
        await self.running.settle()

    async def fill_up(self):
        """Send until the proxy takes no more: how much it took."""
        sent = 0
        while self.client.h2.local_flow_control_window(1) >= 16384 if self.down == "HTTP/2" else not self.client.paused:
            await self.up_with(b"x" * 16384)
            sent += 16384
            assert sent < 2**21
        return sent

    async def down_with(self, data):
        if self.up == "HTTP/1":
            self.server.send(data)
        else:
            self.server.data(1, data)
        await self.running.settle()

    @property
    def arrived_up(self):
        return self.server.received if self.up == "HTTP/1" else self.server.asked().body

    @property
    def arrived_down(self):
        return self.client.received if self.down == "HTTP/1" else self.client.message(1).body

    async def finish_up(self):
        if self.down == "HTTP/1":
            self.client.finish()
        else:
            self.client.data(1, b"", True)
        await self.running.settle()

    async def finish_down(self):
        if self.up == "HTTP/1":
            self.server.finish()
        else:
            self.server.data(1, b"", True)
        await self.running.settle()

    @property
    def ended_up(self):
        return self.server.hung_up if self.up == "HTTP/1" else self.server.asked().ended

    @property
    def ended_down(self):
        return self.client.hung_up if self.down == "HTTP/1" else self.client.message(1).ended


def tunnels(up, **options):
    options = {"upgrades": frozenset((b"websocket", b"connect")), "http2": http2(allow_connect=True), **options}
    return mesh(up, cluster={"http2": http2(allow_connect=True)}, **options)


@all_four
async def test_a_websocket_passes_both_ways(down, up):
    async with tunnels(up) as running:
        ends = Ends(running, down, up)
        await ends.open()
        if up == "HTTP/1":
            assert ends.head.startswith(b"GET /chat HTTP/1.1\r\n")
            assert b"upgrade: websocket" in ends.head.lower()
            assert b"connection: upgrade" in ends.head.lower()
        else:
            assert ends.head.start == {name: value for name, value in EXTENDED if name[0] == ":"}
            assert "upgrade" not in ends.head.headers
        await ends.agree()
        if down == "HTTP/1":
            assert ends.answer.startswith(b"HTTP/1.1 101 ")
            assert b"upgrade: websocket" in ends.answer.lower()
        else:
            assert ends.answer.status == 200
            assert "upgrade" not in ends.answer.headers
        await ends.up_with(b"one")
        await ends.down_with(b"two")
        await ends.up_with(b"three")
        assert ends.arrived_up == b"onethree"
        assert ends.arrived_down == b"two"


@all_four
async def test_a_tunnels_connection_is_there_until_it_ends(down, up):
    """Whoever drains the proxy has to know of it."""
    async with tunnels(up) as running:
        ends = Ends(running, down, up)
        await ends.open()
        await ends.agree()
        stats = running.options.stats
        assert (len(running.scope), stats.downstream_cx_active) == (1, 1)
        running.scope.drain()
        await ends.up_with(b"one")
        assert ends.arrived_up == b"one"
        await ends.finish_up()
        await ends.finish_down()
        if down == "HTTP/1":
            assert (len(running.scope), stats.downstream_cx_active) == (0, 0)


@all_four
async def test_a_tunnel_is_no_request_that_has_to_be_whole_in_time(down, up):
    async with tunnels(up, request_timeout=5) as running:
        ends = Ends(running, down, up)
        await ends.open()
        await ends.agree()
        await running.advance(60)
        await ends.up_with(b"one")
        await ends.down_with(b"two")
        assert (ends.arrived_up, ends.arrived_down) == (b"one", b"two")


@pytest.mark.parametrize("agreed", [True, False])
async def test_a_client_that_ends_a_tunnel_with_trailers_breaks_a_rule(agreed):
    async with tunnels("HTTP/1") as running:
        ends = Ends(running, "HTTP/2", "HTTP/1")
        await ends.open()
        if agreed:
            await ends.agree()
        ends.client.h2.send_headers(1, [("x-last", "1")], end_stream=True)
        ends.client.flush()
        await running.settle()
        assert ends.client.message(1).reset == 1
        assert ends.server.hung_up
        assert running.exchanges[0].flags == "DPE"


async def test_an_upstream_that_ends_a_tunnel_with_trailers_breaks_a_rule():
    async with tunnels("HTTP/2") as running:
        ends = Ends(running, "HTTP/1", "HTTP/2")
        await ends.open()
        await ends.agree()
        ends.server.h2.send_headers(1, [("x-last", "1")], end_stream=True)
        ends.server.flush()
        await running.settle()
        assert ends.server.asked().reset == 1
        assert ends.client.hung_up


@all_four
async def test_a_tunnel_ends_one_side_at_a_time(down, up):
    async with tunnels(up) as running:
        ends = Ends(running, down, up)
        await ends.open()
        await ends.agree()
        await ends.finish_up()
        assert ends.ended_up
        await ends.down_with(b"last words")
        assert ends.arrived_down == b"last words"
        await ends.finish_down()
        assert ends.ended_down
        assert len(running.exchanges) == 1
        assert running.exchanges[0].flags == ""
        assert running.runtime.clusters.by_name["up"].breaker.requests == 0


@pytest.mark.parametrize("up", VERSIONS)
async def test_a_client_that_resets_its_tunnel_ends_the_upstreams(up):
    async with tunnels(up) as running:
        ends = Ends(running, "HTTP/2", up)
        await ends.open()
        await ends.agree()
        ends.client.reset(1)
        await running.settle()
        assert ends.server.hung_up if up == "HTTP/1" else ends.server.asked().reset == 8
        assert len(running.exchanges) == 1
        assert (running.exchanges[0].flags, running.exchanges[0].details) == ("DR", "http2.remote_reset")
        assert not ends.client.closed


@pytest.mark.parametrize("down", VERSIONS)
async def test_an_upstream_that_resets_its_tunnel_ends_the_clients(down):
    async with tunnels("HTTP/2") as running:
        ends = Ends(running, down, "HTTP/2")
        await ends.open()
        await ends.agree()
        ends.server.reset(1)
        await running.settle()
        assert ends.client.hung_up if down == "HTTP/1" else ends.client.message(1).reset is not None
        assert not ends.server.closed


async def test_what_a_client_sends_before_it_may_is_kept_for_the_tunnel():
    async with tunnels("HTTP/1") as running:
        ends = Ends(running, "HTTP/2", "HTTP/1")
        await ends.open()
        ends.client.data(1, b"early", True)
        await running.settle()
        await ends.agree()
        assert ends.arrived_up == b"early"
        assert ends.ended_up


@all_four
async def test_an_upgrade_that_the_upstream_refuses_is_answered_with_its_answer(down, up):
    async with tunnels(up) as running:
        ends = Ends(running, down, up)
        await ends.open()
        if up == "HTTP/1":
            ends.server.send(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno")
        else:
            ends.server.answer(status=403, headers=[("content-length", "2")], body=b"no")
        await running.settle()
        if down == "HTTP/1":
            assert b" 403 " in ends.arrived_down.split(b"\r\n")[0]
            assert ends.arrived_down.endswith(b"\r\n\r\nno")
        else:
            answer = ends.client.message(1)
            assert (answer.status, answer.body, answer.ended) == (403, b"no", True)


async def test_an_extended_connect_that_was_not_offered_is_a_violation():
    async with mesh() as running:
        talker = client(running)
        await running.settle()
        talker.h2.send_headers(1, EXTENDED)
        talker.flush()
        await running.settle()
        assert talker.goaways[-1][1] == 1 or talker.message(1).reset == 1


async def test_an_upgrade_that_is_not_configured_is_refused():
    async with mesh(http2=http2(allow_connect=True)) as running:
        talker = client(running)
        await running.settle()
        talker.h2.send_headers(1, EXTENDED)
        talker.flush()
        await running.settle()
        assert talker.message(1).status == 403


@all_four
async def test_a_connect_goes_through(down, up):
    async with tunnels(up) as running:
        ends = Ends(running, down, up)
        await ends.open(CONNECT, PLAIN)
        if up == "HTTP/1":
            assert ends.head.startswith(b"CONNECT far.test:443 HTTP/1.1\r\n")
        else:
            assert ends.head.start == dict(PLAIN)
        await ends.agree(b"200 OK")
        if down == "HTTP/1":
            assert ends.answer.startswith(b"HTTP/1.1 200 ")
        else:
            assert ends.answer.status == 200
        await ends.up_with(b"one")
        await ends.down_with(b"two")
        assert (ends.arrived_up, ends.arrived_down) == (b"one", b"two")


@pytest.mark.parametrize("down", VERSIONS)
async def test_a_connect_may_end_here(down):
    async with mesh("HTTP/1", route=forward_to("up", terminates_connect=True), upgrades=frozenset((b"connect",))) as running:
        ends = Ends(running, down, "HTTP/1")
        await ends.open(CONNECT, PLAIN)
        assert ends.head == b""
        if down == "HTTP/1":
            _, _, ends.client.received = ends.client.received.partition(b"\r\n\r\n")
        await ends.up_with(b"one")
        await ends.down_with(b"two")
        assert (ends.arrived_up, ends.arrived_down) == (b"one", b"two")


@all_four
async def test_a_slow_end_makes_the_other_wait(down, up):
    async with tunnels(up, http2=http2(allow_connect=True, initial_stream_window_size=2**18)) as running:
        ends = Ends(running, down, up)
        await ends.open()
        await ends.agree()
        reader = ends.server.transport if up == "HTTP/2" else ends.server._transport
        reader.pause_reading()
        sent = await ends.fill_up()
        reader.resume_reading()
        for _ in range(300):
            await running.settle()
        assert len(ends.arrived_up) == sent


@all_four
async def test_an_end_waits_behind_what_a_slow_end_has_not_taken(down, up):
    async with tunnels(up, http2=http2(allow_connect=True, initial_stream_window_size=2**18)) as running:
        ends = Ends(running, down, up)
        await ends.open()
        await ends.agree()
        reader = ends.server.transport if up == "HTTP/2" else ends.server._transport
        reader.pause_reading()
        sent = await ends.fill_up()
        await ends.finish_up()
        assert not ends.ended_up
        reader.resume_reading()
        for _ in range(300):
            await running.settle()
        assert len(ends.arrived_up) == sent
        assert ends.ended_up


async def test_a_tunnel_leaves_the_connections_socket_alone():
    """Ending a stream with a reset must not make the connection's own end one."""
    async with tunnels("HTTP/2") as running:
        ends = Ends(running, "HTTP/2", "HTTP/2")
        await ends.open()
        await ends.agree()
        ends.server.reset(1)
        await running.settle()
        answer = ends.client.ask()
        await running.settle()
        ends.server.answer()
        await running.settle()
        assert answer.status == 200
