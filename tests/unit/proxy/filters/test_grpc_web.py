"""gRPC-Web in and out: bodies wherever they are cut, and answers that are refused on the way. What Envoy does is compared in interop."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.http.grpc_frames import FrameCounter
from pymesh_proxy.http.grpc_web import TextFrames, TextRequest

from .conftest import typed

KIND = "grpc_web.v3.GrpcWeb"
FRAME = b"\x00\x00\x00\x00\x02hi"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n"
TEXT = b"application/grpc-web-text"


def cut(data, places):
    cuts = sorted(places)
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(st.lists(st.binary(max_size=20), max_size=6), st.data())
@settings(deadline=None, max_examples=100)
def test_text_is_read_wherever_it_is_cut_and_padded(messages, data):
    """Clients encode message by message, so that padding stands in the middle, too."""
    text = b"".join(map(base64.b64encode, messages))
    pieces = cut(text, data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    told = []
    tap = TextRequest().then(FrameCounter(told.append))
    read = b"".join(tap.feed(piece, False) for piece in pieces) + tap.feed(b"", True)
    assert read == b"".join(messages)
    assert tap.refusal is None


@given(st.lists(st.binary(max_size=20), max_size=6), st.data())
@settings(deadline=None, max_examples=100)
def test_frames_become_text_one_by_one_wherever_they_are_cut(messages, data):
    frames = [b"\0" + len(message).to_bytes(4, "big") + message for message in messages]
    whole = b"".join(frames)
    encoder = TextFrames()
    pieces = cut(whole, data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    assert b"".join(map(encoder.encoded, pieces)) == b"".join(map(base64.b64encode, frames))


@pytest.mark.parametrize("text", [b"AAA", b"****", b"AA=A", b"AAAA="])
def test_what_is_no_base64_is_refused(text):
    tap = TextRequest()
    tap.feed(text, True)
    assert tap.refusal.status == 400


def call(body, kind=TEXT, accept=TEXT, chunked=False):
    size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    head = b"POST /s/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nAccept: %b\r\n%b\r\n\r\n"
    return head % (kind, accept, size) + (b"" if chunked else body)


@pytest.fixture
def translating(mesh):
    made = mesh(web=typed(KIND))
    object.__setattr__(made.runtime.clusters.by_name["up"].config, "enable_trailers", True)
    return made


async def test_a_call_becomes_grpc_and_its_trailers_the_last_frame(translating):
    async with translating as proxy:
        client = proxy.connect()
        client.send(call(FRAME, b"application/grpc-web", b"*/*"))
        upstream = await proxy.accepted()
        await proxy.settle()
        head, _, body = upstream.received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        assert {b"content-type: application/grpc", b"te: trailers", b"grpc-accept-encoding: identity"} <= set(lines)
        assert not [line for line in lines if line.startswith(b"content-length")]
        assert body == b"7\r\n" + FRAME + b"\r\n0\r\n\r\n"
        upstream.send(ANSWER + b"7\r\n" + FRAME + b"\r\n0\r\ngrpc-status: 0\r\n\r\n")
        await proxy.settle()
        head, _, body = client.received.partition(b"\r\n\r\n")
        assert b"content-type: application/grpc-web+proto" in head.lower()
        assert b"grpc-status" not in head
        assert body == b"7\r\n" + FRAME + b"\r\n14\r\n" + TRAILERS + b"\r\n0\r\n\r\n"


async def test_text_goes_up_as_bytes_and_comes_down_frame_by_frame(translating):
    async with translating as proxy:
        client = proxy.connect()
        text = base64.b64encode(FRAME)
        client.send(call(b"", chunked=True) + b"3\r\n" + text[:3] + b"\r\n")
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(text) - 3, text[3:]))
        upstream = await proxy.accepted()
        await proxy.settle()
        body = upstream.received.partition(b"\r\n\r\n")[2]
        assert body.replace(b"\r\n", b"").endswith(FRAME + b"0")
        upstream.send(ANSWER + b"3\r\n" + FRAME[:3] + b"\r\n")
        await proxy.settle()
        assert client.received.endswith(b"\r\n\r\n"), "half a frame waits for its other half"
        upstream.send(b"4\r\n" + FRAME[3:] + b"\r\n0\r\ngrpc-status: 0\r\n\r\n")
        await proxy.settle()
        body = client.received.partition(b"\r\n\r\n")[2]
        assert body == b"c\r\n%b\r\n1c\r\n%b\r\n0\r\n\r\n" % (base64.b64encode(FRAME), base64.b64encode(TRAILERS))


async def test_bad_text_behind_an_answer_that_has_begun_cuts_it(translating):
    async with translating as proxy:
        client = proxy.connect()
        client.send(call(b"", chunked=True) + b"4\r\nAAAA\r\n")
        upstream = await proxy.accepted()
        await proxy.settle()
        upstream.send(ANSWER)
        await proxy.settle()
        client.send(b"4\r\n****\r\n")
        await proxy.settle()
        assert client.received.count(b"HTTP/1.1") == 1
        assert client.hung_up
        assert proxy.exchanges[-1].details == "grpc_base_64_decode_failed"


async def test_other_requests_pass_it_by(translating):
    async with translating as proxy:
        client = proxy.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await proxy.accepted()
        await proxy.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await proxy.settle()
        assert client.received.endswith(b"\r\n\r\nok")
        assert b"grpc" not in upstream.received + client.received
