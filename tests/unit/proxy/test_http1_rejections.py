"""Requests that are rejected with their head: what is answered, and whether the connection goes on."""

import pytest

from pymesh_proxy.http.options import EscapedSlashes
from pymesh_proxy.testing import Mesh

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
REDIRECTED = b"GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n"
REDIRECTING = {"escaped_slashes": EscapedSlashes.UNESCAPE_AND_REDIRECT}


async def answers(mesh, client):
    """Let the proxy work, with an upstream that is fine; all that the client got."""
    await mesh.settle()
    while not mesh.loop.accepted.empty():
        (await mesh.accepted()).send(OK)
        await mesh.settle()
    return client.received


async def test_a_redirect_to_the_unescaped_path_leaves_the_connection_open():
    async with Mesh(**REDIRECTING) as mesh:
        client = mesh.connect()
        client.send(REDIRECTED)
        received = await answers(mesh, client)
        assert received.startswith(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /a/b\r\n")
        assert b"connection: close" not in received
        client.send(GET)
        assert (await answers(mesh, client)).endswith(b"ok")
        assert [exchange.status for exchange in mesh.exchanges] == [307, 200]


async def test_rejections_keep_their_place_in_a_pipeline():
    async with Mesh(**REDIRECTING) as mesh:
        client = mesh.connect()
        client.send(GET + REDIRECTED + b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + GET)
        await answers(mesh, client)
        assert [exchange.status for exchange in mesh.exchanges] == [200, 307, 404, 400]
        assert client.hung_up, "what follows a malformed request is not read"


async def test_a_rejected_request_with_a_body_ends_the_connection():
    async with Mesh(**REDIRECTING) as mesh:
        client = mesh.connect()
        client.send(REDIRECTED[:-2] + b"Content-Length: 40\r\n\r\n" + GET)
        received = await answers(mesh, client)
        assert received.startswith(b"HTTP/1.1 307 ")
        assert b"connection: close" in received
        assert received.count(b"HTTP/1.1 ") == 1


async def test_a_rejected_old_client_is_answered_in_its_version():
    async with Mesh(accept_http_10=True, **REDIRECTING) as mesh:
        client = mesh.connect()
        client.send(b"GET /a%2Fb HTTP/1.0\r\nHost: a\r\n\r\n")
        assert (await answers(mesh, client)).startswith(b"HTTP/1.0 307 ")
        assert client.hung_up


@pytest.mark.parametrize(
    "head",
    [
        b"GET /%00 HTTP/1.1\r\nHost: a\r\n",
        b"GET /#x HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n",
    ],
    ids=["NUL in the path", "fragment", "no host", "Connection that names Host"],
)
@pytest.mark.parametrize("stream_error", [False, True])
async def test_a_wrong_request_with_a_known_end_spares_the_connection_if_asked(head, stream_error):
    async with Mesh(normalize_path=True, stream_error=stream_error) as mesh:
        client = mesh.connect()
        client.send(head + b"\r\n")
        assert (await answers(mesh, client)).startswith(b"HTTP/1.1 400 ")
        assert client.hung_up is not stream_error
        client.send(GET)
        assert (await answers(mesh, client)).endswith(b"ok") is stream_error


async def test_what_may_be_malformed_always_ends_the_connection():
    async with Mesh(stream_error=True) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n" + GET)
        assert (await answers(mesh, client)).startswith(b"HTTP/1.1 501 ")
        assert client.hung_up


@pytest.mark.parametrize("lines", [(b"x-a", b"keep-alive"), (b"keep-alive", b"x-a")])
async def test_every_line_of_connection_names_headers(lines):
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: hop\r\nConnection: %b\r\nConnection: %b\r\n\r\n" % lines)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert b"X-A" not in upstream.received


@pytest.mark.parametrize("lines", [(b"x-forwarded-for", b"close"), (b"close", b"x-forwarded-for")])
async def test_no_line_of_connection_may_name_what_policy_reads(lines):
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: %b\r\nConnection: %b\r\n\r\n" % lines)
        assert (await answers(mesh, client)).startswith(b"HTTP/1.1 400 ")


async def test_what_stands_before_a_last_request_is_answered_too():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET + GET + GET[:-2] + b"Connection: close\r\n\r\n" + GET)
        upstream = await mesh.accepted()
        for _ in range(3):
            await mesh.settle()
            upstream.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 3
        assert client.received.count(b"connection: close") == 1
        assert client.hung_up


async def test_a_client_that_ends_its_half_gets_all_answers():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET + GET)
        client.finish()
        upstream = await mesh.accepted()
        for _ in range(2):
            await mesh.settle()
            upstream.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 2
        assert client.hung_up


async def test_a_body_that_goes_wrong_behind_the_beginning_of_an_answer_is_the_clients_fault():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        await mesh.settle()
        client.send(b"no size\r\n")
        await mesh.settle()
        assert client.hung_up
        assert upstream.hung_up
        assert [(told.status, told.flags, told.details) for told in mesh.exchanges] == [(200, "DPE", "http1.codec_error")]
