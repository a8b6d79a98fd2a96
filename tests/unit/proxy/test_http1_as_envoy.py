"""What a real Envoy was seen to do (tests/interop/differential), kept here where no peer is needed."""

from dataclasses import replace

import pytest

from pymesh_proxy.http.options import ServerHeader
from pymesh_proxy.testing import Mesh, forward_to

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: up\r\n\r\n"


async def sent_up(mesh, request):
    """The head that the upstream gets."""
    mesh.connect().send(request)
    upstream = await mesh.accepted()
    await mesh.settle()
    return upstream.received


async def answered(mesh, request):
    client = mesh.connect()
    client.send(request)
    await mesh.settle()
    return client.received


@pytest.mark.parametrize("method", [b"OPTIONS", b"PROPFIND", b"POST", b"PUT", b"PATCH"])
async def test_an_empty_body_is_told_where_the_method_expects_one(method):
    async with Mesh() as mesh:
        assert b"content-length: 0\r\n" in await sent_up(mesh, method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"TRACE"])
async def test_an_empty_body_is_not_told_where_nobody_expects_one(method):
    async with Mesh() as mesh:
        assert b"content-length" not in await sent_up(mesh, method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")


async def test_what_the_peer_proxy_says_of_the_scheme_is_believed():
    async with Mesh() as mesh:
        assert b"x-forwarded-proto: gopher\r\n" in await sent_up(mesh, b"GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-proto: gopher\r\n\r\n")


@pytest.mark.parametrize(("hops", "scheme"), [(0, b"http"), (1, b"https")])
async def test_at_the_edge_the_scheme_is_believed_of_a_trusted_hop_only(hops, scheme):
    async with Mesh(use_remote_address=True, xff_num_trusted_hops=hops) as mesh:
        head = await sent_up(mesh, b"GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-proto: https\r\n\r\n")
        assert b"x-forwarded-proto: " + scheme + b"\r\n" in head


@pytest.mark.parametrize(
    ("edge", "hops", "given", "told"),
    [(True, 0, b"9", b"8080"), (True, 1, b"9", b"9"), (True, 1, b"", b"8080"), (False, 0, b"9", b"9"), (False, 0, b"", b"8080")],
)
async def test_requests_are_told_the_port_unless_somebody_believed_has(edge, hops, given, told):
    """As a real Envoy answers."""
    async with Mesh(use_remote_address=edge, xff_num_trusted_hops=hops, append_x_forwarded_port=True) as mesh:
        header = b"x-forwarded-port: " + given + b"\r\n" if given else b""
        head = await sent_up(mesh, b"GET / HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n")
        assert head.count(b"x-forwarded-port: ") == 1
        assert b"x-forwarded-port: " + told + b"\r\n" in head


async def test_an_edit_of_the_answer_knows_its_status():
    seen = []
    route = replace(forward_to("up"), edit_response=lambda exchange: seen.append(exchange.status))
    async with Mesh(route=route) as mesh:
        mesh.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
    assert seen == [200]


async def test_an_answer_of_our_own_is_named_as_an_upstreams_is():
    async with Mesh(route=forward_to("gone"), via=b"edge") as mesh:
        answer = await answered(mesh, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"via: edge\r\n" in answer
        assert b"server: envoy\r\n" in answer


async def test_an_answer_of_our_own_has_no_server_header_where_the_upstreams_is_passed_on():
    async with Mesh(route=forward_to("gone"), server_header=ServerHeader.PASS_THROUGH) as mesh:
        answer = await answered(mesh, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"server:" not in answer


async def test_a_refused_client_that_still_sends_is_not_reset_before_it_could_read():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
        await mesh.settle()
        client.send(b"more of it")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 400 ")
        assert client.hung_up
        assert len(mesh.scope) == 1, "the connection still stands, half closed"
        await mesh.advance(1.1)
        assert len(mesh.scope) == 0
