"""The rarer options of a connection manager, as they show in heads."""

import re

import pytest

from pymesh_proxy.http import wire
from pymesh_proxy.testing import Mesh, forward_to, static_cluster

GET = b"GET / HTTP/1.1\r\nHost: a\r\nx-oDD_name: 1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-fROM-up: 1\r\n\r\nok"


async def exchanged(mesh, request=GET):
    """The heads that the upstream and the client got."""
    client = mesh.connect()
    client.send(request)
    upstream = await mesh.accepted()
    await mesh.settle()
    upstream.send(OK)
    await mesh.settle()
    return upstream.received, client.received


@pytest.mark.parametrize(
    ("name", "proper"),
    [
        (b"x-request-id", b"X-Request-Id"),
        (b"ETAG", b"Etag"),
        (b"x-foo_bar-baZ", b"X-Foo_Bar-Baz"),
        (b"a1b-2c", b"A1b-2c"),
        (b"x--y", b"X--Y"),
    ],
)
def test_words_begin_with_capital_letters(name, proper):
    assert wire.proper_case([(name, b"v")]) == [(proper, b"v")]


def test_remembered_names_are_bounded():
    for number in range(3000):
        wire.proper_case([(b"x-%d" % number, b"")])
    assert len(wire._proper) <= wire._PROPER_LIMIT


async def test_a_manager_with_proper_case_writes_answers_so():
    async with Mesh(proper_case=True) as mesh:
        up, down = await exchanged(mesh)
        assert b"\r\nx-oDD_name: 1\r\n" in up
        assert b"\r\nX-From-Up: 1\r\n" in down
        assert not re.search(rb"\r\n[a-z]", down.partition(b"\r\n\r\n")[0])


async def test_a_cluster_with_proper_case_is_asked_so():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), proper_case=True)) as mesh:
        up, down = await exchanged(mesh)
        assert b"\r\nX-Odd_Name: 1\r\n" in up
        assert not re.search(rb"\r\n[a-z]", up.partition(b"\r\n\r\n")[0])
        assert b"\r\nx-fROM-up: 1\r\n" in down


async def test_the_proxy_presents_itself_where_the_client_did_not():
    async with Mesh(user_agent=b"shop", service_node=b"shop-1") as mesh:
        up, _ = await exchanged(mesh)
        assert b"user-agent: shop\r\n" in up
        assert b"x-envoy-downstream-service-cluster: shop\r\n" in up
        assert b"x-envoy-downstream-service-node: shop-1\r\n" in up


async def test_a_clients_own_user_agent_stays():
    async with Mesh(user_agent=b"shop") as mesh:
        up, _ = await exchanged(mesh, GET[:-2] + b"User-Agent: curl\r\nx-envoy-downstream-service-cluster: lie\r\n\r\n")
        assert b"User-Agent: curl\r\n" in up
        assert b"x-envoy-downstream-service-cluster: shop\r\n" in up
        assert b"lie" not in up


@pytest.mark.parametrize(
    ("options", "host", "expected"),
    [
        ({"strip_matching_host_port": True}, b"a.com:8080", b"a.com"),
        ({"strip_matching_host_port": True}, b"a.com:80", b"a.com:80"),
        ({"strip_any_host_port": True}, b"a.com:80", b"a.com"),
        ({"strip_any_host_port": True}, b"[::1]:80", b"[::1]"),
        ({"strip_any_host_port": True}, b"[::1]", b"[::1]"),
        ({"strip_trailing_host_dot": True}, b"a.com.", b"a.com"),
        ({"strip_trailing_host_dot": True}, b"a.com.:80", b"a.com:80"),
        ({"strip_trailing_host_dot": True, "strip_any_host_port": True}, b"a.com.:80", b"a.com"),
    ],
)
async def test_hosts_lose_ports_and_dots_that_options_name(options, host, expected):
    async with Mesh(**options) as mesh:
        up, _ = await exchanged(mesh, b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
        assert b"host: %b\r\n" % expected in up.lower()


async def test_absolute_targets_can_be_refused():
    async with Mesh(allow_absolute_url=False) as mesh:
        client = mesh.connect()
        client.send(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 404 ")
        assert not client.hung_up
        assert [exchange.details for exchange in mesh.exchanges] == ["absolute_path_rejected"]


@pytest.mark.parametrize(("of_route", "enabled"), [({}, True), ({b"websocket": False}, False), ({b"other": True}, True)])
async def test_a_route_switches_upgrades_one_by_one(of_route, enabled):
    async with Mesh(upgrades=frozenset({b"websocket"}), route=forward_to("up", upgrades=of_route)) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 403 ") is not enabled
        if enabled:
            upstream = await mesh.accepted()
            await mesh.settle()
            assert b"upgrade: WebSocket\r\n" in upstream.received, "the token keeps its case"
