"""Peers repeat themselves, and what is remembered of them is never mistaken for something else."""

import asyncio
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.http.h1_server import ServerConnection
from pymesh_proxy.http.options import ServerHeader
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer, forward_to

GET = b"GET /same HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /same HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nServer: app\r\nContent-Length: 5\r\n\r\n"
RANDOM = re.compile(rb"(x-request-id|date|x-envoy-upstream-service-time): [^\r]*\r\n")


async def ask(mesh, client, upstream, request, answer):
    before = len(client.received)
    if request:
        client.send(request)
    await mesh.settle()
    upstream = upstream or await mesh.accepted()
    await mesh.settle()
    upstream.send(answer)
    await mesh.settle()
    return upstream, RANDOM.sub(b"", client.received[before:])


async def test_repeated_requests_are_each_served_with_an_id_of_their_own():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for number in range(6):
            upstream, answer = await ask(mesh, client, upstream, GET, OK + b"body%d" % number)
            assert answer.endswith(b"body%d" % number)
        ids = re.findall(rb"x-request-id: (\S+)", upstream.received)
        assert len(set(ids)) == len(ids) == 6
        assert upstream.received.count(b"x-forwarded-proto") == 6, "what is remembered must not keep what was added on the way"
        assert len(mesh.exchanges) == 6


async def test_two_repeated_requests_in_one_read_are_two():
    async with Mesh() as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        for _ in range(5):
            client.send(GET + GET)
            await mesh.settle()
        assert client.received.count(b"HTTP/1.1 404") == 10


async def test_a_read_that_ends_within_the_next_request_is_not_taken_for_a_whole_one():
    async with Mesh() as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        for _ in range(4):
            client.send(GET + GET[:10])
            await mesh.settle()
            client.send(GET[10:])
            await mesh.settle()
        assert client.received.count(b"HTTP/1.1 404") == 8


async def test_a_repeated_head_with_another_body_length_is_parsed():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for _ in range(4):
            upstream, _ = await ask(mesh, client, upstream, GET, OK + b"12345")
        upstream, answer = await ask(mesh, client, upstream, GET, OK + b"12")
        assert answer.endswith(b"12")
        upstream.send(b"345")
        await mesh.settle()
        assert client.received.endswith(b"12345")
        upstream, answer = await ask(mesh, client, upstream, GET, OK + b"12345HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"12345")
        assert upstream.hung_up, "bytes behind an answer end the connection"


async def test_a_head_request_between_repeated_gets_has_no_body():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for _ in range(4):
            upstream, _ = await ask(mesh, client, upstream, GET, OK + b"12345")
        upstream, answer = await ask(mesh, client, upstream, GET.replace(b"GET", b"HEAD"), OK)
        assert answer.endswith(b"\r\n\r\n")
        upstream, answer = await ask(mesh, client, upstream, GET, OK + b"12345")
        assert answer.endswith(b"12345")


async def test_managers_that_share_an_upstream_connection_keep_their_own_rules():
    async with Mesh() as mesh:
        theirs, ours = MemoryTransport.pair()
        other = Peer(theirs)
        options = replace(mesh.options, server_header=ServerHeader.PASS_THROUGH)
        ours.attach(ServerConnection(mesh.runtime, options, mesh.scope, Downstream(remote_address="c:1", local_address="l:2")))
        client, upstream = mesh.connect(), None
        for _ in range(4):
            upstream, answer = await ask(mesh, client, upstream, GET, OK + b"12345")
            assert b"server: envoy" in answer
        _, answer = await ask(mesh, other, upstream, GET, OK + b"12345")
        assert b"Server: app" in answer


async def test_what_one_connection_has_learnt_is_known_to_the_others_of_its_cluster():
    async with Mesh() as mesh:
        cluster = mesh.runtime.clusters.get("up")
        first, upstream = mesh.connect(), None
        for _ in range(2):
            upstream, _ = await ask(mesh, first, upstream, GET, OK + b"12345")
        learnt = cluster.latest_answer
        assert learnt.head == OK
        assert learnt.response is not None
        first.send(GET)  # keeps the connection busy, so that the next request gets another one
        await mesh.settle()
        _, answer = await ask(mesh, mesh.connect(), None, GET, OK + b"54321")
        assert answer.endswith(b"54321")
        (busy, other) = sorted(cluster.endpoints[0].pool._all, key=lambda connection: connection.attempts is None)
        assert busy._known is learnt
        assert other._known is learnt
        assert cluster.latest_answer is learnt
        upstream.send(OK + b"98765")
        await mesh.settle()
        assert first.received.endswith(b"98765")


async def test_connections_whose_servers_answer_otherwise_keep_knowing_their_own():
    async with Mesh() as mesh:
        first, second = mesh.connect(), mesh.connect()
        one, other = OK.replace(b"app", b"one"), OK.replace(b"app", b"other")
        first.send(GET)
        second.send(GET)
        await mesh.settle()
        upstreams = [await mesh.accepted(), await mesh.accepted()]
        for _ in range(3):
            for upstream, head in zip(upstreams, (one, other), strict=True):
                upstream.send(head + b"12345")
            await mesh.settle()
            first.send(GET)
            second.send(GET)
            await mesh.settle()
        known = [connection._known for connection in mesh.runtime.clusters.get("up").endpoints[0].pool._all]
        assert {each.head for each in known} == {one, other}
        assert all(each.response is not None for each in known)


async def test_what_is_known_of_other_answers_does_not_keep_a_tunnel_from_opening():
    async with Mesh(route=forward_to("up", upgrades={b"connect": True})) as mesh:
        client, upstream = mesh.connect(), None
        empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for _ in range(4):
            upstream, _ = await ask(mesh, client, upstream, GET, empty)
        await ask(mesh, client, upstream, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", empty)
        client.send(b"\x00up")
        upstream.send(b"\x00down")
        await mesh.settle()
        assert upstream.received.endswith(b"\r\n\r\n\x00up")
        assert client.received.endswith(b"\r\n\r\n\x00down")


async def test_a_connection_whose_upgrade_was_refused_is_not_used_again_even_if_the_answer_is_known():
    async with Mesh(upgrades=frozenset({b"websocket"})) as mesh:
        client, upstream = mesh.connect(), None
        for _ in range(4):
            upstream, _ = await ask(mesh, client, upstream, GET, OK + b"12345")
        _, answer = await ask(mesh, client, upstream, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", OK + b"12345")
        assert answer.endswith(b"12345")
        assert upstream.hung_up


async def test_a_repeated_failure_is_retried_like_the_first():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        bad = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
        for _ in range(4):
            upstream, answer = await ask(mesh, client, upstream, GET, bad)
            assert answer.startswith(b"HTTP/1.1 503")


async def test_bodies_behind_repeated_heads_arrive_however_they_are_cut():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for number, cut in enumerate([10, 10, 10, 0, 4, 9, 10, 1]):
            body = b"body %05d" % number
            client.send(POST + body[:cut])
            await mesh.settle()
            client.send(body[cut:])
            upstream, answer = await ask(mesh, client, upstream, b"", OK + b"12345")
            assert answer.endswith(b"12345")
            assert upstream.received.endswith(b"\r\n\r\n" + body)
        assert upstream.received.count(b"POST /same HTTP/1.1\r\n") == len(mesh.exchanges) == 8
        assert [exchange.request_bytes for exchange in mesh.exchanges] == [10] * 8


async def test_a_request_behind_the_body_of_a_repeated_head_has_its_turn():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for _ in range(4):
            upstream, _ = await ask(mesh, client, upstream, POST + b"0123456789", OK + b"12345")
        client.send(POST + b"01234")
        await mesh.settle()
        _, answer = await ask(mesh, client, upstream, b"56789" + GET, OK + b"12345")
        assert answer.endswith(b"12345")
        assert upstream.received.count(b"GET /same") == 1
        _, answer = await ask(mesh, client, upstream, b"", OK + b"54321")
        assert answer.endswith(b"54321")
        _, answer = await ask(mesh, client, upstream, POST + b"9876543210" + GET, OK + b"12345")
        assert answer.endswith(b"12345")
        assert b"\r\n\r\n9876543210GET /same" in upstream.received


@pytest.mark.parametrize("before", [b"\r\n\r\n", b"\n\r\n\r\n", b"\r\n"])
async def test_empty_lines_before_a_request_are_no_head_to_remember(before):
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for body in (b"0123456789", b"9876543210", b"GET / HTTP", b"0123456789"):
            client.send(before)
            await mesh.settle()
            upstream, answer = await ask(mesh, client, upstream, before + POST + body, OK + b"12345")
            assert answer.endswith(b"12345")
            assert upstream.received.endswith(b"\r\n\r\n" + body)


async def test_a_client_that_leaves_within_the_body_of_a_repeated_head_is_noticed():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        for _ in range(3):
            upstream, _ = await ask(mesh, client, upstream, POST + b"0123456789", OK + b"12345")
        client.send(POST + b"0123")
        await mesh.settle()
        client.reset()
        await mesh.settle()
        assert mesh.exchanges[-1].flags == "DC"
        assert upstream.hung_up


async def test_a_long_answer_goes_past_the_parser_and_its_connection_is_used_again():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        body = bytes(range(256)) * 1024
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        for cut in (0, 1, 100_000, len(body) - 1):
            upstream, _ = await ask(mesh, client, upstream, GET, head + body[:cut])
            upstream.send(body[cut : cut + 50_000])
            await mesh.settle()
            upstream.send(body[cut + 50_000 :])
            await mesh.settle()
            assert client.received.endswith(body)
            upstream, answer = await ask(mesh, client, upstream, GET, OK + b"12345")
            assert answer.endswith(b"12345")
        assert len(mesh.exchanges) == 8
        assert {exchange.response_bytes for exchange in mesh.exchanges} == {len(body), 5}


async def test_bytes_behind_a_long_answer_are_not_passed_on_and_end_the_connection():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        upstream, _ = await ask(mesh, client, upstream, GET, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 1000)
        upstream.send(b"a" * 199_000 + OK + b"12345")
        await mesh.settle()
        assert client.received.endswith(b"\r\n\r\n" + b"a" * 200_000)
        assert upstream.hung_up


async def test_a_long_answer_that_breaks_off_is_no_whole_one():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        upstream, _ = await ask(mesh, client, upstream, GET, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 1000)
        upstream.send(b"a" * 100_000)
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        assert client.hung_up
        assert mesh.exchanges[-1].flags == "UPE"  # a FIN within a body of known length


ASKED = st.sampled_from(
    [
        GET,
        GET.replace(b"same", b"other"),
        GET.replace(b"GET", b"HEAD"),
        GET.replace(b"Host: a", b"host:  a "),
        POST + b"0123456789",
        POST + b"\r\n\r\nGET /a",
        POST.replace(b"10", b"4") + b"\r\n\r\n",
        POST.replace(b"10", b"0"),
        POST.replace(b"Content-Length: 10", b"Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n\r\n",
    ]
)
ANSWERED = st.sampled_from(
    [
        OK + b"12345",
        OK + b"54321",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ]
)


async def serve(script, *, fresh, forgetful=True):
    """The answers to a script of exchanges; `fresh` uses a new connection for each, which remembers nothing unless the cluster does."""
    async with Mesh() as mesh:
        client, upstream, answers = mesh.connect(), None, []
        cluster = mesh.runtime.clusters.get("up")
        for request, answer in script:
            if fresh:
                cluster.endpoints[0].pool = None
                client, upstream = mesh.connect(), None
                if forgetful:
                    cluster.latest_answer = None
            head_only = request.startswith(b"HEAD")
            sent = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head_only else answer
            upstream, got = await ask(mesh, client, upstream, request, sent)
            answers.append(got)
        return answers


@pytest.mark.parametrize("times", [1, 3])
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(ASKED, ANSWERED), min_size=1, max_size=6))
def test_a_connection_or_a_cluster_with_a_memory_answers_like_ones_without(times, script):
    script = [step for step in script for _ in range(times)]
    plain = asyncio.run(serve(script, fresh=True))
    assert asyncio.run(serve(script, fresh=False)) == plain
    assert asyncio.run(serve(script, fresh=True, forgetful=False)) == plain
