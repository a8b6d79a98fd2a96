"""What of an exchange counts for or against an endpoint."""

import pytest

from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint
from pymesh_proxy.upstream.outlier_config import Ejection, OutlierConfig

ALL = dict.fromkeys(Ejection, 100)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GRPC = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\nContent-Length: 0\r\n\r\n"


def answer(status, extra=b""):
    return b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n%b\r\nok" % (status, extra)


def mesh_of(timeout=0.0, **settings):
    config = OutlierConfig(**{"consecutive_5xx": 2, "max_ejection_percent": 100, **settings})
    return Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), outlier=config), route=forward_to("up", timeout=timeout))


def endpoint_of(mesh):
    return mesh.runtime.clusters.get("up").endpoints[0]


async def exchange(mesh, *replies, request=GET, upstream=None):
    client = mesh.connect()
    for reply in replies:
        client.send(request)
        await mesh.settle()
        if upstream is None or upstream.hung_up:
            upstream = await mesh.accepted()
        upstream.send(reply)
        await mesh.settle()
    return upstream


async def test_errors_in_a_row_throw_it_out():
    async with mesh_of() as mesh:
        upstream = await exchange(mesh, answer(500), answer(200), answer(500))
        assert not endpoint_of(mesh).ejected
        await exchange(mesh, answer(503), upstream=upstream)
        assert endpoint_of(mesh).ejected
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert b"no healthy upstream" not in client.received, "half of the endpoints and more are out: panic, all are used"


async def test_it_is_back_after_its_time():
    async with mesh_of(interval=10.0, base_ejection_time=15.0) as mesh:
        await exchange(mesh, answer(500), answer(500))
        await mesh.advance(10.1)
        assert endpoint_of(mesh).ejected
        await mesh.advance(10.1)
        assert not endpoint_of(mesh).ejected


@pytest.mark.parametrize(("code", "out"), [(b"14", True), (b"13", True), (b"99", True), (b"5", False), (b"0", False), (b"1", False)])
async def test_what_grpc_says_beside_200_counts(code, out):
    async with mesh_of() as mesh:
        extra = b"grpc-status: " + code + b"\r\n"
        await exchange(mesh, answer(200, extra), answer(200, extra), request=GRPC)
        assert endpoint_of(mesh).ejected is out


async def test_grpc_status_of_other_content_says_nothing():
    async with mesh_of() as mesh:
        await exchange(mesh, *[answer(200, b"grpc-status: 14\r\n")] * 3)
        assert not endpoint_of(mesh).ejected


async def test_errors_are_what_the_cluster_says_they_are():
    async with mesh_of(error=lambda response: response.status == 429) as mesh:
        upstream = await exchange(mesh, *[answer(500)] * 3)
        assert not endpoint_of(mesh).ejected
        await exchange(mesh, answer(429), answer(429), upstream=upstream)
        assert endpoint_of(mesh).ejected


@pytest.mark.parametrize(("status", "out"), [(503, True), (429, False)])
async def test_an_error_by_name_is_a_gateway_failure_only_with_such_a_status(status, out):
    async with mesh_of(error=lambda response: True, consecutive_5xx=100, consecutive_gateway_failure=2, enforcing=ALL) as mesh:
        await exchange(mesh, answer(status), answer(status))
        assert endpoint_of(mesh).ejected is out


async def test_what_grpc_says_goes_before_what_the_cluster_says():
    async with mesh_of(error=lambda response: False) as mesh:
        await exchange(mesh, *[answer(200, b"grpc-status: 14\r\n")] * 2, request=GRPC)
        assert endpoint_of(mesh).ejected


async def test_refused_connections_count():
    async with mesh_of() as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        for _ in range(2):
            mesh.connect().send(GET)
            await mesh.settle()
        assert endpoint_of(mesh).ejected


async def test_connections_that_die_before_an_answer_count():
    async with mesh_of() as mesh:
        for _ in range(2):
            mesh.connect().send(GET)
            (await mesh.accepted()).reset()
            await mesh.settle()
        assert endpoint_of(mesh).ejected


async def test_half_an_answer_is_no_row():
    async with mesh_of(consecutive_5xx=1) as mesh:
        upstream = await exchange(mesh, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        assert not endpoint_of(mesh).ejected
        upstream.reset()
        await mesh.settle()
        assert endpoint_of(mesh).ejected


async def test_timeouts_without_an_answer_count():
    async with mesh_of(timeout=1.0) as mesh:
        for _ in range(2):
            mesh.connect().send(GET)
            await mesh.accepted()
            await mesh.advance(1.1)
        assert endpoint_of(mesh).ejected


async def test_timeouts_in_the_middle_of_an_answer_do_not():
    async with mesh_of(timeout=1.0, consecutive_5xx=1) as mesh:
        await exchange(mesh, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await mesh.advance(1.1)
        assert not endpoint_of(mesh).ejected


async def test_clients_that_leave_say_nothing():
    async with mesh_of(consecutive_5xx=1) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.accepted()
        client.reset()
        await mesh.settle()
        assert not endpoint_of(mesh).ejected


async def test_failures_to_connect_are_apart_if_so_asked():
    async with mesh_of(split_local_origin=True, consecutive_local_origin_failure=2, consecutive_5xx=1) as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        mesh.connect().send(GET)
        await mesh.settle()
        assert not endpoint_of(mesh).ejected
        mesh.loop.refusing.clear()
        await exchange(mesh, answer(200))
        mesh.loop.refusing.add(("10.0.0.1", 80))
        monitor = endpoint_of(mesh).watch.outlier
        assert (monitor.local.total, monitor.local.good, monitor.external.total, monitor.external.good) == (2, 1, 1, 1)


async def test_a_replaced_cluster_begins_anew_and_keeps_no_timer():
    async with mesh_of(interval=10.0) as mesh:
        await exchange(mesh, answer(500), answer(500))
        former = endpoint_of(mesh)
        assert former.ejected
        armed = len(mesh.runtime.wheel)
        mesh.runtime.clusters.put(static_cluster("up", ("10.0.0.1", 80), outlier=OutlierConfig(interval=20.0)))
        assert not endpoint_of(mesh).ejected
        assert len(mesh.runtime.wheel) <= armed
        mesh.runtime.clusters.remove("up")
        await mesh.advance(50.0)
        assert former.ejected, "nobody looks at it any more"


def test_endpoints_without_detection_have_no_watch():
    assert Endpoint(EndpointConfig(host="10.0.0.1", port=80), None).watch is None
