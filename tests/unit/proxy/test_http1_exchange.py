"""One request after another over HTTP/1.1: what goes up, what comes down, what stays open."""

import pytest

from pymesh_proxy.testing import Mesh

GET = b"GET /a?b=c HTTP/1.1\r\nHost: shop.test\r\nX-Mixed-Case: Kept\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def exchange(mesh, client, upstream=None, *, request=GET, answer=OK):
    client.send(request)
    upstream = upstream or await mesh.accepted()
    await mesh.settle()
    upstream.send(answer)
    await mesh.settle()
    return upstream


async def test_a_request_keeps_its_order_and_case_and_gains_what_proxies_add():
    async with Mesh() as mesh:
        upstream = await exchange(mesh, mesh.connect())
        head = upstream.received.decode().split("\r\n")
        assert head[:3] == ["GET /a?b=c HTTP/1.1", "Host: shop.test", "X-Mixed-Case: Kept"]
        assert head[3] == "x-forwarded-proto: http"
        assert head[4].startswith("x-request-id: ")


async def test_an_answer_keeps_its_body_and_names_the_proxy():
    async with Mesh() as mesh:
        client = mesh.connect()
        await exchange(mesh, client)
        head, _, body = client.received.partition(b"\r\n\r\n")
        assert body == b"hello"
        assert b"server: envoy" in head
        assert b"x-envoy-upstream-service-time: " in head


async def test_connections_are_kept_alive_on_both_sides():
    async with Mesh() as mesh:
        client = mesh.connect()
        upstream = await exchange(mesh, client)
        await exchange(mesh, client, upstream)
        assert client.received.count(b"HTTP/1.1 200 OK") == 2
        assert mesh.loop.accepted.empty(), "the second request opened a second connection"


async def test_the_connection_used_last_is_used_next():
    async with Mesh() as mesh:
        one, two = mesh.connect(), mesh.connect()
        one.send(GET)
        first = await mesh.accepted()
        two.send(GET)
        second = await mesh.accepted()
        await mesh.settle()
        second.send(OK)
        await mesh.settle()
        first.send(OK)
        await mesh.settle()
        before = first.received
        one.send(GET)
        await mesh.settle()
        assert first.received != before


async def test_pipelined_requests_are_answered_in_order():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(3)))
        upstream = await mesh.accepted()
        for number in range(3):
            await mesh.settle()
            assert upstream.received.count(b"GET /") == number + 1, "the next request went up before the answer came down"
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        await mesh.settle()
        assert [answer[-1:] for answer in client.received.split(b"HTTP/1.1 200 OK")[1:]] == [b"0", b"1", b"2"]


async def test_reading_stops_while_requests_are_queued():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET * 100)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert client.paused
        for _ in range(100):
            upstream.send(OK)
            await mesh.settle()
        assert not client.paused
        assert client.received.count(b"HTTP/1.1 200 OK") == 100


async def test_ten_thousand_pipelined_requests_to_nowhere_need_no_deep_stack():
    async with Mesh() as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        client.send(GET * 10_000)
        for _ in range(500):
            await mesh.settle()
        assert client.received.count(b"HTTP/1.1 404 Not Found") == 10_000


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 11\r\n", b"hello world"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: dropped\r\n\r\n"),
    ],
)
async def test_a_body_streams_up_as_it_arrives(framing, body):
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        for position in range(0, len(body), 3):
            client.send(body[position : position + 3])
            await mesh.settle()
        payload = upstream.received.partition(b"\r\n\r\n")[2]
        if b"chunked" in framing:
            assert payload.endswith(b"0\r\n\r\n")
            assert b"x=y" not in payload
            assert b"Trailer" not in payload
            payload = b"".join(payload.split(b"\r\n")[1:-3:2])
        assert payload == b"hello world"
        assert mesh.exchanges == []
        upstream.send(OK)
        await mesh.settle()
        assert mesh.exchanges[0].request_bytes == 11


async def test_a_chunked_answer_is_chunked_again():
    async with Mesh() as mesh:
        client = mesh.connect()
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        await exchange(mesh, client, answer=chunked)
        assert client.received.endswith(b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


async def test_an_answer_that_ends_with_the_connection_becomes_chunked():
    async with Mesh() as mesh:
        client = mesh.connect()
        upstream = await exchange(mesh, client, answer=b"HTTP/1.1 200 OK\r\n\r\nhello")
        assert not client.received.endswith(b"0\r\n\r\n")
        upstream.finish()
        await mesh.settle()
        assert client.received.endswith(b"5\r\nhello\r\n0\r\n\r\n")
        assert not client.hung_up


@pytest.mark.parametrize("status", [204, 304])
async def test_a_bodiless_answer_leaves_the_connection_usable(status):
    async with Mesh() as mesh:
        client = mesh.connect()
        upstream = await exchange(mesh, client, answer=b"HTTP/1.1 %d x\r\nETag: y\r\n\r\n" % status)
        await exchange(mesh, client, upstream)
        assert client.received.endswith(b"hello")


async def test_head_answers_carry_a_length_and_no_body():
    async with Mesh() as mesh:
        client = mesh.connect()
        head = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
        upstream = await exchange(mesh, client, request=head, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        await exchange(mesh, client, upstream)
        assert b"Content-Length: 99" in client.received
        assert client.received.endswith(b"hello")


async def test_expect_100_continue_is_answered_here_and_not_passed_on():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert b"xpect" not in upstream.received


async def test_interim_answers_are_swallowed():
    async with Mesh() as mesh:
        client = mesh.connect()
        await exchange(mesh, client, answer=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
        assert client.received.startswith(b"HTTP/1.1 200 OK")


async def test_connection_close_is_honoured_and_later_bytes_ignored():
    async with Mesh() as mesh:
        client = mesh.connect()
        await exchange(mesh, client, request=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGARBAGE")
        assert b"connection: close" in client.received
        assert client.received.count(b"HTTP/1.1") == 1
        assert client.hung_up


async def test_an_upstream_that_says_close_is_not_reused():
    async with Mesh() as mesh:
        client = mesh.connect()
        await exchange(mesh, client, answer=OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await exchange(mesh, client)
        assert client.received.count(b"HTTP/1.1 200 OK") == 2


async def test_http_1_0_is_refused_unless_accepted():
    request = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(request)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 426 Upgrade Required")
    async with Mesh(accept_http_10=True) as mesh:
        client = mesh.connect()
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        await exchange(mesh, client, request=request, answer=chunked)
        assert client.received.startswith(b"HTTP/1.0 200 OK")
        assert client.received.endswith(b"connection: close\r\n\r\nhello")
        assert client.hung_up


async def test_an_ignored_h2c_offer_does_not_lose_the_body():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: x\r\nContent-Length: 5\r\n\r\nhel"
        )
        upstream = await mesh.accepted()
        await mesh.settle()
        client.send(b"lo" + GET)
        await mesh.settle()
        assert upstream.received.endswith(b"hello")
        assert b"pgrade" not in upstream.received.partition(b"\r\n\r\n")[0]
        upstream.send(OK)
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 2


async def test_an_upgrade_that_is_not_enabled_is_refused():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 403 Forbidden")
        assert client.hung_up


async def test_a_websocket_becomes_a_tunnel_after_101():
    async with Mesh(upgrades=frozenset({b"websocket"})) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert not upstream.received.endswith(b"early"), "bytes went up before the upstream agreed"
        upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        await mesh.settle()
        assert upstream.received.endswith(b"early")
        assert client.received.startswith(b"HTTP/1.1 101 Switching Protocols")
        assert b"server: envoy\r\n" in client.received
        assert client.received.endswith(b"first")
        client.send(b"\x00\xff")
        await mesh.settle()
        assert upstream.received.endswith(b"early\x00\xff")
        client.close()
        await mesh.settle()
        assert upstream.ended
        upstream.close()
        await mesh.settle()
        assert mesh.exchanges[0].status == 101


@pytest.mark.parametrize("taken", [b"Upgrade: other\r\n", b"", b"Upgrade: websocket\r\nUpgrade: other\r\n"])
async def test_a_switch_to_what_was_not_asked_for_is_502(taken):
    async with Mesh(upgrades=frozenset({b"websocket"})) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + taken + b"\r\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 502 Bad Gateway")
        assert upstream.hung_up


async def test_a_refused_websocket_is_an_ordinary_answer():
    async with Mesh(upgrades=frozenset({b"websocket"})) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 401 Unauthorized")
        assert client.hung_up


async def test_the_end_of_a_client_that_comes_before_the_upgrade_is_passed_on():
    async with Mesh(upgrades=frozenset({b"websocket"})) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe")
        client.finish()
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nanswer")
        await mesh.settle()
        assert upstream.received.endswith(b"frame")
        assert upstream.ended
        assert client.received.endswith(b"answer")
        upstream.close()
        await mesh.settle()
        assert client.hung_up
