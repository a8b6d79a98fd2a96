"""However the network cuts a byte stream, the same requests go up and the same answers come down."""

import asyncio
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.testing import Mesh

REQUESTS = (
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n"
    b"HEAD /d HTTP/1.1\r\nHost: a\r\n\r\n"
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nseco\r\n2\r\nnd\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n",
)
RANDOM = re.compile(rb"(x-request-id|date|x-envoy-upstream-service-time): [^\r]*\r\n")
CHUNK = re.compile(rb"[0-9a-f]+\r\n(?=[a-z])|(?<=[a-z])\r\n(?=[0-9a-f]+\r\n)")
cuts = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def pieces(data, sizes):
    position = 0
    for size in sizes:
        yield data[position : position + size]
        position += size
    yield data[position:]


async def serve(request_cuts, answer_cuts):
    async with Mesh() as mesh:
        client = mesh.connect()
        for piece in pieces(REQUESTS, request_cuts):
            client.send(piece)
            await mesh.settle()
        upstream = await mesh.accepted()
        for answer in ANSWERS:
            for piece in pieces(answer, answer_cuts):
                upstream.send(piece)
                await mesh.settle()
        assert mesh.loop.accepted.empty(), "one connection serves them all"
        return [CHUNK.sub(b"", RANDOM.sub(b"", each)) for each in (upstream.received, client.received)]


WHOLE = asyncio.run(serve([len(REQUESTS)], [1000]))


@settings(max_examples=60, deadline=None)
@given(cuts, cuts)
def test_cuts_change_nothing(request_cuts, answer_cuts):
    assert asyncio.run(serve(request_cuts, answer_cuts)) == WHOLE


def test_the_uncut_stream_is_what_it_should_be():
    up, down = WHOLE
    assert re.findall(rb"(?:GET|POST|HEAD) /[a-d]", up) == [b"GET /a", b"POST /b", b"POST /c", b"HEAD /d"]
    assert b"hello" in up
    assert b"abcde0\r\n\r\n" in up
    assert re.findall(rb"HTTP/1\.1 (\d+)", down) == [b"200", b"200", b"204", b"200"]
    assert b"first" in down
    assert b"second0\r\n\r\n" in down
