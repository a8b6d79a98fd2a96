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
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer

GET = b"GET /same HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nServer: app\r\nContent-Length: 5\r\n\r\n"
RANDOM = re.compile(rb"(x-request-id|date|x-envoy-upstream-service-time): [^\r]*\r\n")


async def ask(mesh, client, upstream, request, answer):
    before = len(client.received)
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


async def test_a_repeated_failure_is_retried_like_the_first():
    async with Mesh() as mesh:
        client, upstream = mesh.connect(), None
        bad = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
        for _ in range(4):
            upstream, answer = await ask(mesh, client, upstream, GET, bad)
            assert answer.startswith(b"HTTP/1.1 503")


ASKED = st.sampled_from([GET, GET.replace(b"same", b"other"), GET.replace(b"GET", b"HEAD"), GET.replace(b"Host: a", b"host:  a ")])
ANSWERED = st.sampled_from(
    [
        OK + b"12345",
        OK + b"54321",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ]
)


async def serve(script, *, fresh):
    """The answers to a script of exchanges; `fresh` uses a new connection for each, which remembers nothing."""
    async with Mesh() as mesh:
        client, upstream, answers = mesh.connect(), None, []
        for request, answer in script:
            if fresh:
                mesh.runtime.clusters.get("up").endpoints[0].pool = None
                client, upstream = mesh.connect(), None
            head_only = request.startswith(b"HEAD")
            sent = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head_only else answer
            upstream, got = await ask(mesh, client, upstream, request, sent)
            answers.append(got)
        return answers


@pytest.mark.parametrize("times", [1, 3])
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(ASKED, ANSWERED), min_size=1, max_size=6))
def test_a_connection_with_a_memory_answers_like_ones_without(times, script):
    script = [step for step in script for _ in range(times)]
    assert asyncio.run(serve(script, fresh=False)) == asyncio.run(serve(script, fresh=True))
