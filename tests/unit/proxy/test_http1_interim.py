"""1xx answers and `Expect: 100-continue`: answered and dropped here, or passed through."""

from pymesh_proxy.testing import Mesh

POST = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_an_expectation_is_the_upstreams_to_meet_if_so_configured():
    async with Mesh(proxy_100_continue=True) as mesh:
        client = mesh.connect()
        client.send(POST)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert client.received == b""
        assert b"Expect: 100-continue\r\n" in upstream.received
        upstream.send(b"HTTP/1.1 100 Continue\r\nX-Up: 1\r\nConnection: x\r\n\r\n")
        await mesh.settle()
        assert client.received == b"HTTP/1.1 100 Continue\r\nX-Up: 1\r\n\r\n"
        client.send(b"hi")
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")


async def test_an_expectation_that_is_not_met_is_told():
    async with Mesh(proxy_100_continue=True) as mesh:
        client = mesh.connect()
        client.send(POST)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
        assert b"connection: close" in client.received
        assert upstream.hung_up, "the upstream still waits for a body that does not come"


async def test_hints_pass_where_interim_answers_do():
    async with Mesh(proxy_100_continue=True) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_old_clients_know_no_interim_answers():
    for passing in (True, False):
        async with Mesh(proxy_100_continue=passing, accept_http_10=True) as mesh:
            client = mesh.connect()
            client.send(POST.replace(b"HTTP/1.1", b"HTTP/1.0"))
            upstream = await mesh.accepted()
            await mesh.settle()
            upstream.send(CONTINUE)
            client.send(b"hi")
            await mesh.settle()
            upstream.send(OK)
            await mesh.settle()
            assert client.received.startswith(b"HTTP/1.0 200 OK\r\n")


async def test_a_pipelined_request_is_invited_when_its_turn_comes():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + POST)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK[:-1])
        await mesh.settle()
        assert b"100 Continue" not in client.received, "in the middle of an answer"
        upstream.send(OK[-1:])
        await mesh.settle()
        assert client.received.endswith(b"ok" + CONTINUE)
        client.send(b"hi")
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert client.received.count(b"HTTP/1.1 200 OK") == 2


async def test_a_body_that_is_here_already_needs_no_invitation_to_be_served():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(POST + b"hi")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert upstream.received.endswith(b"hi")
        assert client.received.endswith(b"ok")
