"""Requests that wait until they are whole; what of it is Envoy's is compared in interop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.http.grpc_frames import FrameCounter
from pymesh_proxy.http.whole_body import WholeBody

from .conftest import typed

KIND = "buffer.v3.Buffer"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@given(st.lists(st.binary(max_size=6), max_size=6), st.integers(0, 12))
@settings(deadline=None, max_examples=100)
def test_a_body_comes_whole_or_not_at_all(pieces, limit):
    messages = []
    tap = WholeBody(limit)
    assert tap.then(FrameCounter(messages.append)) is tap
    told = [tap.feed(piece, False) for piece in pieces] + [tap.feed(b"", True)]
    whole = b"".join(pieces)
    assert (tap.refusal is not None) is (len(whole) > limit)
    if tap.refusal is None:
        assert told == [b""] * len(pieces) + [whole]


@pytest.fixture
def holding(mesh):
    return mesh(hold=typed(KIND, max_request_bytes=10))


async def test_a_request_goes_up_when_it_is_whole_and_then_has_a_length(holding):
    async with holding as proxy:
        client = proxy.connect()
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await proxy.settle()
        assert proxy.runtime.clusters.get("up").upstream_rq_total == 0
        client.send(b"2\r\ncd\r\n0\r\n\r\n")
        upstream = await proxy.accepted()
        await proxy.settle()
        head, _, body = upstream.received.partition(b"\r\n\r\n")
        assert b"content-length: 4" in head
        assert b"chunked" not in head
        assert body == b"abcd"
        upstream.send(OK)
        await proxy.settle()
        assert client.received.startswith(b"HTTP/1.1 200")


async def test_a_client_may_leave_meanwhile(holding):
    async with holding as proxy:
        client = proxy.connect()
        client.send(POST + b"Content-Length: 4\r\n\r\nab")
        await proxy.settle()
        client.close()
        await proxy.settle()
        assert proxy.exchanges[-1].flags == "DC"
        assert proxy.runtime.clusters.get("up").upstream_rq_total == 0


async def test_a_request_that_is_too_large_is_refused_without_a_connection(holding):
    async with holding as proxy:
        client = proxy.connect()
        client.send(POST + b"Content-Length: 11\r\n\r\n0123456789a")
        await proxy.settle()
        assert client.received.startswith(b"HTTP/1.1 413")
        assert client.received.endswith(b"\r\n\r\nPayload Too Large")
        assert proxy.exchanges[-1].details == "request_payload_too_large"
        assert proxy.runtime.clusters.get("up").upstream_cx_total == 0
