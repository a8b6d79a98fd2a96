"""Filters on their way: which of them run on a route, what their answers become, and what happens while one waits."""

import asyncio
import dataclasses

import pytest

from pymesh_proxy.filters import LocalReply
from pymesh_proxy.filters.chain import FilterChain, Link, Override, Overrides
from pymesh_proxy.route.table import DirectReply, Route
from pymesh_proxy.testing import Mesh, forward_to

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Told:
    """A filter that writes down what it is asked, and answers what it was given."""

    def __init__(self, name, heard, verdict=lambda: None):
        self.name = name
        self.heard = heard
        self.verdict = verdict

    def for_route(self, config):
        return Told(f"{self.name}:{config}", self.heard, self.verdict)

    def on_request(self, exchange):
        self.heard.append(f"{self.name} request {exchange.route.name if exchange.route else '-'} {exchange.cluster_name or '-'}")
        return self.verdict()

    def on_route(self, exchange):
        self.heard.append(f"{self.name} route")

    def on_end(self, exchange):
        self.heard.append(f"{self.name} end")

    def on_response(self, exchange):
        self.heard.append(f"{self.name} response")
        exchange.response.add(b"x-" + self.name.encode(), b"%d" % exchange.response.status)


def chain(*filters, off=()):
    return FilterChain(tuple(Link(one.name, one, disabled=one.name in off) for one in filters))


def on_route(**overrides):
    return dataclasses.replace(forward_to("up"), overrides=Overrides(overrides))


async def answered(mesh, client):
    client.send(GET)
    (await mesh.accepted()).send(OK)
    await mesh.settle()
    return client.received


async def test_filters_see_the_route_and_run_backward_over_the_answer():
    heard = []
    async with Mesh(chain=chain(Told("one", heard), Told("two", heard))) as mesh:
        assert b"x-two: 200\r\nx-one: 200\r\n" in await answered(mesh, mesh.connect())
    assert heard == ["one request test up", "two request test up", "one route", "two route", "two response", "one response"]


async def test_a_route_configures_disables_and_enables_filters():
    heard = []
    filters = chain(Told("one", heard), Told("two", heard), Told("three", heard), Told("four", heard), off=("three", "four"))
    route = on_route(one=Override("mine"), two=Override(disabled=True), three=Override())
    async with Mesh(chain=filters, route=route) as mesh:
        client = mesh.connect()
        await answered(mesh, client)
        assert [line for line in heard if "request" in line] == ["one:mine request test up", "three request test up"]
        made = filters.on(mesh.options.route.table, route.overrides)
        assert made is filters.on(mesh.options.route.table, route.overrides), "put together once"


async def test_a_filter_answers_before_it_matters_that_there_is_no_route():
    heard = []
    teapot = LocalReply(status=418, body=b"short and stout", flags="FI", details="poured")
    async with Mesh(chain=chain(Told("one", heard, lambda: teapot), Told("two", heard))) as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 418 ")
        assert client.received.endswith(b"\r\n\r\nshort and stout")
        (exchange,) = mesh.exchanges
    assert (exchange.flags, exchange.details, exchange.status) == ("FI", "poured", 418)
    assert heard == ["one request - -", "two response", "one response"]


async def test_no_route_is_the_routers_answer():
    heard = []
    async with Mesh(chain=chain(Told("one", heard))) as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 404 ")
        assert (mesh.exchanges[0].flags, mesh.options.stats.no_route) == ("NR", 1)


def edited(action=None):
    def add(exchange):
        exchange.response.add(b"x-edited", b"%d" % exchange.response.status)

    route = dataclasses.replace(forward_to("up", attempt_count_in_response=True), edit_response=add)
    return route if action is None else Route(name="fixed", action=action, edit_response=add)


@pytest.mark.parametrize(
    ("route", "answer", "is_edited"),
    [
        (edited(), LocalReply(status=429), True),
        (edited(), LocalReply(status=200, edited=False), False),
        (edited(DirectReply(status=200)), LocalReply(status=429), False),
        (edited(DirectReply(status=200)), None, True),
    ],
)
async def test_whose_answers_the_routes_header_edits_apply_to(route, answer, is_edited):
    async with Mesh(chain=chain(Told("one", [], lambda: answer)), route=route) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert (b"x-edited" in client.received) is is_edited
        assert b"x-envoy-attempt-count" not in client.received


async def test_a_filter_waits_and_others_do_not_wait_for_it():
    heard = []
    gate = asyncio.Event()
    verdicts = [None, _until(gate)]
    async with Mesh(chain=chain(Told("one", heard, verdicts.pop), Told("two", heard))) as mesh:
        slow, quick = mesh.connect(), mesh.connect()
        slow.send(GET)
        await mesh.settle()
        assert b"200 OK" in await answered(mesh, quick)
        assert (slow.received, heard.count("two request test up")) == (b"", 1)
        gate.set()
        await mesh.settle()
        assert heard.count("two request test up") == 2


async def test_the_body_comes_whole_behind_a_wait():
    gate = asyncio.Event()
    async with Mesh(chain=chain(Told("one", [], lambda: _until(gate)))) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        await mesh.settle()
        client.send(b"dy")
        await mesh.settle()
        gate.set()
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.endswith(b"\r\n\r\nbody")
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")


async def test_a_body_that_is_held_while_a_filter_waits_is_bounded():
    gate = asyncio.Event()
    async with Mesh(chain=chain(Told("one", [], lambda: _until(gate)))) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + bytes(2_000_000))
        await mesh.settle()
        assert client.paused
        gate.set()
        upstream = await mesh.accepted()
        await mesh.settle()
        assert not client.paused
        assert len(upstream.received) > 2_000_000


async def _until(gate):
    await gate.wait()


async def test_a_client_that_leaves_ends_the_wait():
    cancelled = []

    async def forever():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    def delayed(exchange):
        exchange.flag("DI")
        return forever()

    one = Told("one", [])
    one.on_request = delayed
    async with Mesh(chain=chain(one)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        client.reset()
        await mesh.settle()
        (exchange,) = mesh.exchanges
        assert (exchange.flags, exchange.status, cancelled) == ("DI,DC", 0, [True])
        assert exchange.cluster.breaker.requests == 0
        assert mesh.options.stats.downstream_rq_active == 0


@pytest.mark.parametrize(
    ("options", "seconds", "status", "flags"),
    [({"stream_idle_timeout": 5.0}, 6, b"504", "SI"), ({"max_stream_duration": 5.0}, 6, b"504", "")],
)
async def test_time_runs_while_a_filter_waits(options, seconds, status, flags):
    async with Mesh(chain=chain(Told("one", [], lambda: _until(asyncio.Event()))), **options) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        await mesh.advance(seconds)
        assert client.received.split()[1] == status
        (exchange,) = mesh.exchanges
        assert exchange.flags == flags
        assert exchange.cluster.upstream_rq_timeout == 0


async def test_a_filter_that_fails_lets_nothing_pass(caplog):
    async def broken():
        raise ValueError("no")

    async with Mesh(chain=chain(Told("one", [], lambda: broken()))) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 500 ")
        assert mesh.loop.accepted.empty()
    assert "an HTTP filter failed" in caplog.text


async def test_a_cluster_that_was_replaced_during_the_wait_is_looked_up_again():
    gate = asyncio.Event()
    async with Mesh(chain=chain(Told("one", [], lambda: _until(gate)))) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        mesh.runtime.clusters.remove("up")
        gate.set()
        await mesh.settle()
        assert (mesh.exchanges[0].flags, client.received.split()[1]) == ("NC", b"503")


async def test_an_upgrade_may_have_filters_of_its_own():
    heard = []
    own = {b"websocket": chain(Told("own", heard))}
    route = forward_to("up", upgrades={b"websocket": True, b"other": True})
    async with Mesh(chain=chain(Told("main", heard)), upgrade_chains=own, route=route) as mesh:
        for kind in (b"WebSocket", b"other"):
            mesh.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: " + kind + b"\r\n\r\n")
            upstream = await mesh.accepted()
            await mesh.settle()
            upstream.send(b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: " + kind + b"\r\n\r\n")
            await mesh.settle()
        assert [line.split()[:2] for line in heard if "route" not in line] == [
            ["own", "request"], ["own", "response"], ["main", "request"], ["main", "response"],
        ]  # fmt: skip
        heard.clear()
        mesh.connect().send(GET)
        await mesh.settle()
        assert {line.split()[0] for line in heard} == {"main"}


async def test_routes_configure_the_filters_of_an_upgrade_too():
    heard = []
    own = {b"websocket": chain(Told("own", heard), Told("off", heard))}
    route = dataclasses.replace(
        on_route(own=Override("mine"), off=Override(disabled=True)), action=forward_to("up", upgrades={b"websocket": True}).action
    )
    async with Mesh(upgrade_chains=own, route=route) as mesh:
        mesh.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await mesh.settle()
        assert [line for line in heard if "request" in line] == ["own:mine request test up"]
