"""Fault injection: whom it concerns, the lots that are drawn, the order of its two faults, and their bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.filters.fault import Abort, Delay
from pymesh_proxy.filters.fraction import Fraction

from .conftest import counted, head, typed

GET = b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ALL = {"numerator": 100}
FAULT = typed("fault.v3.HTTPFault")
ABORT = {"http_status": 418, "percentage": ALL}
DELAY = {"fixed_delay": "2s", "percentage": ALL}


def route(**fault):
    return {"route": {"cluster": "up"}, "typed_per_filter_config": {"fault": typed("fault.v3.HTTPFault", **fault)}}


def status(client):
    return int(client.received.split()[1])


async def sent(mesh, headers=b""):
    client = mesh.connect()
    client.send(GET % headers)
    await mesh.settle()
    return client


async def test_an_abort_answers_in_the_upstreams_place(mesh):
    async with mesh(route(abort=ABORT), fault=FAULT) as proxy:
        client = await sent(proxy)
        assert (status(client), client.received[-18:]) == (418, b"fault filter abort")
        (ended,) = proxy.exchanges
        assert (ended.flags, ended.details, ended.cluster_name) == ("FI", "fault_filter_abort", "up")
        assert counted(proxy) == {"p.fault.aborts_injected": 1}
        assert proxy.loop.accepted.empty()


@pytest.mark.parametrize(
    ("abort", "grpc", "told"),
    [
        ({"http_status": 503}, True, (b"200", b"14")),
        ({"grpc_status": 5}, True, (b"200", b"5")),
        ({"grpc_status": 5}, False, (b"200", None)),
        ({"grpc_status": 0}, True, (b"200", b"0")),
    ],
)
async def test_grpc_clients_are_told_a_grpc_status(mesh, abort, grpc, told):
    async with mesh(route(abort={**abort, "percentage": ALL}), fault=FAULT) as proxy:
        client = await sent(proxy, b"content-type: application/grpc\r\n" if grpc else b"")
        lines = dict(line.split(b": ", 1) for line in client.received.split(b"\r\n") if b": " in line)
        assert (client.received.split()[1], lines.get(b"grpc-status")) == told


async def test_a_delay_passes_before_the_request_goes_on(mesh):
    async with mesh(route(delay=DELAY), fault=FAULT) as proxy:
        client = await sent(proxy)
        await proxy.advance(1.9)
        assert proxy.loop.accepted.empty()
        assert counted(proxy) == {"p.fault.delays_injected": 1, "p.fault.active_faults": 1}
        await proxy.advance(0.2)
        (await proxy.accepted()).send(OK)
        await proxy.settle()
        assert status(client) == 200
        (ended,) = proxy.exchanges
        assert (ended.flags, ended.details) == ("DI", "via_upstream")
        assert counted(proxy) == {"p.fault.delays_injected": 1}


async def test_an_abort_follows_the_delay(mesh):
    async with mesh(route(delay=DELAY, abort=ABORT, max_active_faults=1), fault=FAULT) as proxy:
        client = await sent(proxy)
        await proxy.advance(2.1)
        assert (status(client), proxy.exchanges[0].flags) == (418, "DI,FI")
        assert counted(proxy) == {"p.fault.delays_injected": 1, "p.fault.aborts_injected": 1}


async def test_a_client_that_leaves_ends_the_delay(mesh):
    async with mesh(route(delay=DELAY, abort=ABORT), fault=FAULT) as proxy:
        client = await sent(proxy)
        client.reset()
        await proxy.settle()
        assert (proxy.exchanges[0].flags, counted(proxy)) == ("DI,DC", {"p.fault.delays_injected": 1})
        await proxy.advance(3)
        assert counted(proxy) == {"p.fault.delays_injected": 1}
        assert len(proxy.exchanges) == 1


async def test_more_faults_at_a_time_than_allowed_are_not_injected(mesh):
    async with mesh(route(delay=DELAY, abort=ABORT, max_active_faults=1), fault=FAULT) as proxy:
        slow = await sent(proxy)
        await sent(proxy)
        (await proxy.accepted()).send(OK)
        await proxy.settle()
        assert counted(proxy)["p.fault.faults_overflow"] == 2, "neither a delay nor an abort"
        await proxy.advance(2.1)
        assert status(slow) == 418


@pytest.mark.parametrize(
    ("criteria", "headers", "concerned"),
    [
        ({"upstream_cluster": "up"}, b"", True),
        ({"upstream_cluster": "down"}, b"", False),
        ({"headers": [{"name": "x-a", "string_match": {"exact": "1"}}]}, b"x-a: 1\r\n", True),
        ({"headers": [{"name": "x-a", "string_match": {"exact": "1"}}, {"name": "x-b"}]}, b"x-a: 1\r\n", False),
        ({"downstream_nodes": ["n1", "n2"]}, b"x-envoy-downstream-service-node: n2\r\n", True),
        ({"downstream_nodes": ["n1", "n2"]}, b"x-envoy-downstream-service-node: n3\r\n", False),
        ({"downstream_nodes": ["n1"]}, b"", False),
    ],
)
async def test_whom_faults_concern(mesh, criteria, headers, concerned):
    async with mesh(route(abort=ABORT, **criteria), fault=FAULT) as proxy:
        await sent(proxy, headers)
        assert bool(counted(proxy)) is concerned


async def test_the_managers_policy_holds_where_routes_say_nothing(mesh):
    routes = ({"match": {"prefix": "/off"}, **route()}, {"route": {"cluster": "up"}})
    async with mesh(*routes, fault=typed("fault.v3.HTTPFault", abort=ABORT)) as proxy:
        client = await sent(proxy)
        assert status(client) == 418


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({}, None),
        ({"x_envoy_fault_abort_request": "503"}, (503, -1)),
        ({"x_envoy_fault_abort_request": " +503 "}, (503, -1)),
        ({"x_envoy_fault_abort_request": "199"}, None),
        ({"x_envoy_fault_abort_request": "600"}, None),
        ({"x_envoy_fault_abort_request": "x"}, None),
        ({"x_envoy_fault_abort_grpc_request": "14"}, (200, 14)),
        ({"x_envoy_fault_abort_request": "503", "x_envoy_fault_abort_grpc_request": "14"}, (503, -1)),
        ({"x_envoy_fault_abort_request": "503", "x_envoy_fault_abort_request_percentage": "0"}, None),
        ({"x_envoy_fault_abort_request": "503", "x_envoy_fault_abort_request_percentage": "x"}, (503, -1)),
    ],
)
def test_aborts_that_requests_ask_for(headers, statuses):
    assert Abort(Fraction(100, 100)).of(head(**headers), 99) == statuses


def test_delays_that_requests_ask_for():
    asked = head(x_envoy_fault_delay_request="1500", x_envoy_fault_delay_request_percentage="20")
    assert [Delay(Fraction(50, 100)).of(asked, draw) for draw in (0, 19, 20, 49, 50)] == [1.5, 1.5, 0.0, 0.0, 0.0]
    assert Delay(Fraction(100, 100)).of(head(), 0) == 0.0
    assert Delay(Fraction(100, 100), 3.0).of(asked, 99) == 3.0, "a fixed delay is not the request's to lower"


@given(st.integers(0, 2**32 - 1), st.sampled_from([100, 10_000, 1_000_000]), st.data())
@settings(deadline=None)
def test_a_share_takes_its_part_and_headers_only_lower_it(draw, denominator, data):
    numerator = data.draw(st.integers(0, denominator))
    lower = data.draw(st.integers(0, 2 * denominator))
    share = Fraction(numerator, denominator)
    assert share.takes(draw) == (draw % denominator in range(numerator))
    assert share.at_most(lower).takes(draw) == (share.takes(draw) and Fraction(lower, denominator).takes(draw))


@given(st.sampled_from([100, 10_000]), st.data())
@settings(deadline=None)
def test_of_all_lots_a_share_takes_exactly_its_numerator(denominator, data):
    numerator = data.draw(st.integers(0, denominator))
    assert sum(Fraction(numerator, denominator).takes(draw) for draw in range(denominator)) == numerator
