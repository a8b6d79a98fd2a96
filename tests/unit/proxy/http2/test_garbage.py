"""Any bytes from a peer are served, refused or cause the connection's end; none cause an exception, and memory stays bounded."""

import asyncio
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .ends import GET, OK, POST, PREFACE, Ours, Wire, block, frame, frames, joined, settle

SETTINGS = frame("SETTINGS")
SECTIONS = st.one_of(
    st.sampled_from([block(GET), block(POST), block(OK), block([*POST, (b"content-length", b"3")]), b"\x82\x40\x01a\x01b\xbe"]),
    st.binary(max_size=12),
)
PAYLOADS = st.one_of(SECTIONS, st.sampled_from([b"", bytes(4), bytes(5), bytes(8), b"\0\x04\0\0\0\x05", b"\x02ab\0\0", bytes(16385)]))
FRAMES = st.builds(
    frame,
    st.sampled_from([0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 255]),
    st.sampled_from([0, 1, 4, 5, 5, 5, 8, 9, 0x20, 0x25, 0x2D, 255]),
    st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 2**31 - 1, 2**32 - 1]),
    PAYLOADS,
)


def serve(stream):
    if stream.ended:
        stream.send_headers(OK, False)
        stream.send_data(stream.body, True)


async def swallow(data, *, client):
    """Feed our end directly, so that an exception would be ours; what it has written."""
    ours = Ours(client=client, answer=None if client else serve, stream_error_on_invalid_http_messaging=True)
    wire = Wire(joined(ours))
    if client:
        ours.ask(GET)
        ours.ask(POST, end=False)
    for start in range(0, len(data), 1000):
        ours.data_received(data[start : start + 1000])
        await settle(2)
    await settle(5)
    ours.connection_lost(None)
    assert ours.streams == {}
    assert ours.held == 0
    frames(wire.take().removeprefix(PREFACE))
    return ours


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAMES, max_size=20), st.booleans(), st.booleans())
def test_any_frames_are_judged_without_an_exception(pieces, client, prefaced):
    begin = (b"" if client else PREFACE) + SETTINGS if prefaced else b""
    asyncio.run(swallow(begin + b"".join(pieces), client=client))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_judged_without_an_exception(data, client):
    asyncio.run(swallow((b"" if client else PREFACE) + SETTINGS + data, client=client))


@pytest.mark.parametrize("frames_before", [0, 100])
async def test_a_hook_that_fails_ends_its_connection_and_not_the_loop(frames_before):
    def fail(stream):
        raise RuntimeError("a defect")

    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    ours = Ours(answer=fail)
    wire = Wire(joined(ours))
    wire.send(PREFACE + SETTINGS + frame("PING", 0, 0, bytes(8)) * frames_before + frame("HEADERS", 5, 1, block(GET)) * 2)
    await settle(10)
    assert [str(error) for error in told] == ["a defect"]
    if frames_before:  # otherwise it was data_received that raised, which a real transport answers by closing
        assert wire.closed


async def test_a_long_life_of_requests_leaves_nothing_behind():
    ours = Ours(answer=serve)
    wire = Wire(joined(ours))
    ours.data_received(PREFACE + SETTINGS)
    dice = random.Random(7)

    async def life(first, last):
        for number in range(first, last):
            stream_id = 2 * number + 1
            path = (b":path", b"/%d" % dice.randrange(10**9))
            ours.data_received(frame("HEADERS", 4, stream_id, block([path, POST[0], POST[1], POST[3]])))
            ours.data_received(frame("DATA", 1, stream_id, bytes(100)))
            if number % 20 == 0:
                ours.data_received(frame("WINDOW_UPDATE", 0, 0, (2000).to_bytes(4, "big")))
                await settle(3)
        ours.opened.clear()
        await settle()
        wire.take()

    await life(0, 500)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await life(500, 3000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ours.streams == {}
    assert after - before < 400_000
