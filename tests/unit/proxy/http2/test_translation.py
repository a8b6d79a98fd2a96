"""Requests and answers between every pair of versions: what is kept, what is turned into the other form."""

import h11
import pytest

from pymesh_proxy.http.options import EscapedSlashes
from pymesh_proxy.upstream.config import UpstreamProtocol

from .ends import GET, block, frame
from .players import H2Client, client, mesh, upstream

VERSIONS = ("HTTP/1", "HTTP/2")
both = pytest.mark.parametrize("up", VERSIONS)
all_four = pytest.mark.parametrize(("down", "up"), [(down, up) for down in VERSIONS for up in VERSIONS])


async def exchanged(running, down, up, asked, answered):
    """One exchange; the request that came up and the answer that came down."""
    answer = client(running, down).ask(**asked)
    server = await upstream(running, up)
    server.answer(**answered)
    await running.settle()
    return server.asked(), answer


@all_four
async def test_a_get_and_its_answer_pass(down, up):
    async with mesh(up) as running:
        request, answer = await exchanged(
            running, down, up, {"path": "/a?b=c", "headers": [("x-one", "1")]}, {"headers": [("content-length", "5")], "body": b"hello"}
        )
    assert request.start[":method"] == "GET"
    assert request.start[":path"] == "/a?b=c"
    assert request.start[":authority"] == "a.test"
    assert request.headers["x-one"] == "1"
    assert request.ended
    assert (answer.status, answer.body, answer.ended) == (200, b"hello", True)
    assert answer.headers["content-length"] == "5"
    assert answer.headers["server"] == "envoy"


@all_four
async def test_bodies_of_unknown_length_pass_both_ways(down, up):
    async with mesh(up) as running:
        request, answer = await exchanged(running, down, up, {"method": "POST", "body": b"question"}, {"body": b"answer"})
    assert (request.body, request.ended) == (b"question", True)
    assert (answer.body, answer.ended) == (b"answer", True)
    assert "content-length" not in answer.headers


@all_four
async def test_trailers_pass_both_ways(down, up):
    async with mesh(up) as running:
        request, answer = await exchanged(
            running,
            down,
            up,
            {"method": "POST", "headers": [("te", "trailers")], "body": b"q", "trailers": {"x-check": "1"}},
            {"body": b"a", "trailers": {"x-sum": "2"}},
        )
    assert request.trailers == {"x-check": "1"}
    assert request.headers["te"] == "trailers"
    assert answer.trailers == {"x-sum": "2"}
    assert request.ended
    assert answer.ended


@all_four
async def test_trailers_pass_without_a_body(down, up):
    async with mesh(up) as running:
        request, answer = await exchanged(
            running, down, up, {"method": "POST", "trailers": {"x-check": "1"}}, {"trailers": {"x-sum": "2"}}
        )
    assert (request.body, request.trailers) == (b"", {"x-check": "1"})
    assert (answer.body, answer.trailers, answer.ended) == (b"", {"x-sum": "2"}, True)


@all_four
async def test_an_answer_to_head_keeps_its_length_and_has_no_body(down, up):
    async with mesh(up) as running:
        talker = client(running, down)
        answer = talker.ask("HEAD")
        server = await upstream(running, up)
        server.answer(headers=[("content-length", "10")])
        await running.settle()
        assert (answer.status, answer.headers["content-length"], answer.body, answer.ended) == (200, "10", b"", True)
        again = talker.ask()
        await running.settle()
        server.answer(headers=[("content-length", "2")], body=b"ok")
        await running.settle()
        assert again.body == b"ok"


@all_four
@pytest.mark.parametrize("status", [204, 304])
async def test_answers_that_have_no_body(down, up, status):
    async with mesh(up) as running:
        _, answer = await exchanged(running, down, up, {}, {"status": status, "headers": [("etag", '"e"')]})
    assert (answer.status, answer.ended, answer.headers["etag"]) == (status, True, '"e"')
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_whose_end_comes_late_is_not_chunked(method, status):
    """A last chunk behind it would be taken for the beginning of the next answer."""
    async with mesh() as running:
        talker = running.connect()
        talker.send(method.encode() + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = await upstream(running)
        stream_id = server.answer(status=status, end=False)
        server.data(stream_id, b"", end=True)
        await running.settle()
        head, rest = talker.received.split(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"transfer-encoding" not in head
        assert rest == b""


@pytest.mark.parametrize("early", [True, False])
async def test_an_empty_frame_is_no_last_chunk(early):
    """What follows it would be taken for another request (RFC 9112 7.1)."""
    async with mesh("HTTP/1") as running:
        talker = client(running)
        await running.settle()
        talker.ask("POST", end=False)
        server = None if early else await upstream(running, "HTTP/1")
        talker.data(1, b"")
        await running.settle()
        server = server or await upstream(running, "HTTP/1")
        talker.data(1, b"hello")
        talker.data(1, b"")
        talker.data(1, b"", end=True)
        await running.settle()
        assert server.received.endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        assert (server.asked().body, server.asked().ended) == (b"hello", True)


@all_four
@pytest.mark.parametrize("status", [200, 404])
async def test_an_answer_may_end_with_its_head(down, up, status):
    """To an HTTP/1 client that takes a length of 0, or it would wait for the connection's end."""
    headers = [("content-length", "0")] if up == "HTTP/1" else []
    async with mesh(up) as running:
        talker = client(running, down)
        answer = talker.ask()
        server = await upstream(running, up)
        server.answer(status=status, headers=headers)
        await running.settle()
        assert (answer.status, answer.body, answer.ended) == (status, b"", True)
        if down == "HTTP/1":
            assert answer.headers["content-length"] == "0"
        talker.ask()
        await running.settle()
        assert not talker.closed


@all_four
async def test_a_304_may_tell_the_length_of_what_it_does_not_send(down, up):
    async with mesh(up) as running:
        _, answer = await exchanged(running, down, up, {}, {"status": 304, "headers": [("content-length", "10")]})
    assert (answer.status, answer.body, answer.ended) == (304, b"", True)


@all_four
async def test_many_lines_of_one_name_stay_many(down, up):
    async with mesh(up) as running:
        lines = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-length", "0")]
        _, answer = await exchanged(running, down, up, {}, {"headers": lines})
    assert [value for name, value in answer.raw if name == "set-cookie"] == ["a=1", "b=2"]


@both
async def test_cookie_crumbs_become_one_cookie(up):
    async with mesh(up) as running:
        crumbs = [("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2")]
        request, _ = await exchanged(running, "HTTP/2", up, {"headers": crumbs}, {"headers": [("content-length", "0")]})
    assert [value for name, value in request.raw if name == "cookie"] == ["a=1; b=2"]


async def test_names_are_folded_on_their_way_to_http2():
    async with mesh() as running:
        request, _ = await exchanged(running, "HTTP/1", "HTTP/2", {"headers": [("X-Mixed", "Kept")]}, {})
    assert request.headers["x-mixed"] == "Kept"
    assert "host" not in request.headers


async def test_what_belongs_to_a_connection_stays_on_it():
    async with mesh() as running:
        hop = [("Connection", "x-hop, keep-alive"), ("Keep-Alive", "timeout=5"), ("x-hop", "1"), ("Proxy-Connection", "close")]
        hop.append(("x-kept", "2"))
        request, _ = await exchanged(running, "HTTP/1", "HTTP/2", {"headers": hop}, {})
    assert request.headers["x-kept"] == "2"
    assert not {"connection", "keep-alive", "x-hop", "proxy-connection", "transfer-encoding", "upgrade"} & set(request.headers)


async def test_an_http1_answers_connection_headers_do_not_reach_http2():
    async with mesh("HTTP/1") as running:
        hop = [("Connection", "keep-alive"), ("Keep-Alive", "timeout=5"), ("Content-Length", "0"), ("X-Up", "1")]
        _, answer = await exchanged(running, "HTTP/2", "HTTP/1", {}, {"headers": hop})
    assert answer.headers["x-up"] == "1"
    assert not {"connection", "keep-alive", "transfer-encoding"} & set(answer.headers)


@both
async def test_a_host_besides_the_authority_yields_to_it(up):
    async with mesh(up) as running:
        request, _ = await exchanged(running, "HTTP/2", up, {"headers": [("host", "a.test")]}, {"headers": [("content-length", "0")]})
    assert request.start[":authority"] == "a.test"
    assert len([name for name, _ in request.raw if name == "host"]) == (1 if up == "HTTP/1" else 0)


@all_four
async def test_interim_answers_pass_where_the_manager_lets_them(down, up):
    async with mesh(up, proxy_100_continue=True) as running:
        answer = client(running, down).ask()
        server = await upstream(running, up)
        if up == "HTTP/2":
            server.h2.send_headers(1, [(":status", "103"), ("link", "</a>")])
            server.flush()
        else:
            server.put(h11.InformationalResponse(status_code=103, headers=[("link", "</a>")]))
        server.answer(headers=[("content-length", "2")], body=b"ok")
        await running.settle()
    assert answer.interim == [103]
    assert answer.body == b"ok"


@all_four
async def test_an_expectation_is_answered_here(down, up):
    async with mesh(up) as running:
        talker = client(running, down)
        answer = talker.ask("POST", headers=[("expect", "100-continue")], end=False)
        server = await upstream(running, up)
        assert answer.interim == [100]
        assert "expect" not in server.asked().headers


@both
async def test_the_first_bytes_tell_which_version_a_client_speaks(up):
    """AUTO without ALPN: the preface, in pieces."""
    async with mesh(up) as running:
        peer = running.connect()
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for start in range(len(preface)):
            peer.send(preface[start : start + 1])
            await running.settle()
        peer.send(frame("SETTINGS") + frame("HEADERS", 5, 1, block(GET)))
        server = await upstream(running, up)
        assert server.asked().start[":path"] == "/x"


async def test_a_connection_that_turns_out_to_speak_http2_counts_once():
    async with mesh() as running:
        running.connect().become(lambda transport: H2Client(transport))
        await running.settle()
        assert (running.scope.counts.total, running.scope.counts.active) == (1, 1)
        assert running.options.stats.downstream_cx_total == 1


async def test_what_only_begins_like_the_preface_is_http1():
    async with mesh() as running:
        peer = running.connect()
        peer.send(b"PR")
        await running.settle()
        peer.send(b"OPFIND /y HTTP/1.1\r\nHost: a\r\n\r\n")
        server = await upstream(running)
        assert server.asked().start[":method"] == "PROPFIND"


@pytest.mark.parametrize("down", VERSIONS)
async def test_the_upstream_may_be_spoken_to_as_the_client_speaks(down):
    async with mesh(cluster={"protocol": UpstreamProtocol.DOWNSTREAM}) as running:
        request, answer = await exchanged(running, down, down, {}, {"headers": [("content-length", "0")]})
    assert request.ended
    assert answer.ended


async def test_an_http10_client_gets_an_unframed_answer_up_to_the_close():
    async with mesh(accept_http_10=True) as running:
        peer = running.connect()
        peer.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        server = await upstream(running)
        server.answer(body=b"hello")
        await running.settle()
        head, _, body = peer.received.partition(b"\r\n\r\n")
        assert body == b"hello"
        assert b"transfer-encoding" not in head
        assert peer.hung_up


async def test_header_limits_hold_for_answers_too():
    async with mesh(cluster={"max_response_headers_count": 3}) as running:
        answer = client(running).ask()
        server = await upstream(running)
        server.answer(headers=[(f"x-{number}", "1") for number in range(5)], body=b"b")
        await running.settle()
        assert answer.status in (502, 503)
        assert running.exchanges[0].flags


async def test_a_request_with_too_many_headers_ends_its_stream_only():
    async with mesh(max_headers_count=10) as running:
        talker = client(running)
        answer = talker.ask(headers=[(f"x-{number}", "1") for number in range(20)])
        fine = talker.ask()
        server = await upstream(running)
        server.answer()
        await running.settle()
        assert answer.reset is not None or answer.status == 431
        assert fine.status == 200


async def test_a_redirect_to_the_unescaped_path_is_no_error():
    async with mesh(escaped_slashes=EscapedSlashes.UNESCAPE_AND_REDIRECT) as running:
        asking = client(running, "HTTP/2")
        answer = asking.ask(path="/a%2Fb")
        await running.settle()
        assert (answer.status, answer.headers["location"], answer.body) == (307, "/a/b", b"")
        assert [(exchange.status, exchange.flags) for exchange in running.exchanges] == [(307, "")]
