"""What is legal once and an attack when repeated: each ends the connection, says why, and costs little memory."""

import struct
import tracemalloc

import pytest

from pymesh_proxy.http2.errors import ConnectionBroken
from pymesh_proxy.http2.flood import Flood
from pymesh_proxy.http2.settings import Http2Options

from .ends import GET, OK, POST, PREFACE, block, client, frame, frames, server, settle

SETTINGS = frame("SETTINGS")
CALM = 11
SECTION = block(GET)


def u32(*values):
    return struct.pack(f">{len(values)}L", *values)


def verdict(ours):
    """Code and reason of the connection's end, or None."""
    return next((event[1:] for event in ours.events if event[0] == "failed"), None)


async def begun(**settings):
    ours, wire = server(**settings)
    wire.send(PREFACE + SETTINGS + frame("SETTINGS", 1))
    await settle()
    wire.take()
    return ours, wire


async def poured(ours, wire, pieces):
    """Send pieces until they are through or the connection has ended; how many were sent."""
    for number, piece in enumerate(pieces, 1):
        wire.send(piece)
        if number % 50 == 0:
            await settle(3)
        if wire.closed:
            return number
    await settle(60)
    return None


def goaway(wire):
    return [(struct.unpack_from(">L", payload, 4)[0], payload[8:]) for kind, _, _, payload in frames(wire.take()) if kind == "GOAWAY"]


# --- resets -----------------------------------------------------------------------------------------------------------


async def test_rapid_reset_ends_the_connection():
    ours, wire = await begun()
    pieces = (frame("HEADERS", 5, 2 * n + 1, SECTION) + frame("RST_STREAM", 0, 2 * n + 1, u32(8)) for n in range(2000))
    assert await poured(ours, wire, pieces) < 400
    assert verdict(ours) == (CALM, "250 of 250 streams were reset prematurely")
    assert goaway(wire) == [(CALM, b"250 of 250 streams were reset prematurely")]


async def test_streams_that_the_peer_makes_us_reset_count_like_its_own_resets():
    ours, wire = await begun(stream_error_on_invalid_http_messaging=True)
    pieces = (frame("HEADERS", 4, 2 * n + 1, SECTION) + frame("WINDOW_UPDATE", 0, 2 * n + 1, u32(0)) for n in range(2000))
    assert await poured(ours, wire, pieces) is not None
    assert verdict(ours)[0] == CALM
    ours, wire = await begun(stream_error_on_invalid_http_messaging=True)
    malformed = block([*GET, (b"connection", b"close")])
    assert await poured(ours, wire, (frame("HEADERS", 5, 2 * n + 1, malformed) for n in range(2000))) is not None
    assert verdict(ours)[0] == CALM


async def test_resets_behind_an_answer_or_in_the_minority_are_harmless():
    def begin(stream):
        if stream.id % 4 == 1:
            stream.send_headers(OK, False)

    ours, wire = await begun(answer=begin)
    pieces = (frame("HEADERS", 5, 2 * n + 1, SECTION) + frame("RST_STREAM", 0, 2 * n + 1, u32(8)) for n in range(480))
    assert await poured(ours, wire, pieces) is None
    assert ours.flood.premature_resets == 240
    assert verdict(ours) is None


async def test_an_upstream_may_reset_as_it_likes():
    ours, wire = client()
    wire.send(SETTINGS)
    await settle()
    for _ in range(600):
        stream = ours.ask(GET)
        wire.send(frame("RST_STREAM", 0, stream.id, u32(7)))
        await settle(3)
    assert verdict(ours) is None


# --- peers that do not read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [frame("PING", 0, 0, bytes(8)), frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 1)), frame("PRIORITY", 0, 1, u32(1) + b"\0")],
    ids=["PING", "SETTINGS", "frames that we answer with RST_STREAM"],
)
async def test_answers_to_a_peer_that_does_not_read_are_bounded(piece):
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(POST)))
    await settle()
    wire.transport.pause_reading()
    for _ in range(3000):
        wire.send(piece)
        if wire.closed or ours.phase == 4:
            break
    await settle(100)
    code, _ = verdict(ours)
    assert code in (CALM, 1)
    assert wire.transport.waiting < 40_000
    assert ours.transport.closing


async def test_a_peer_that_reads_may_ping_for_ever():
    ours, wire = await begun()
    assert await poured(ours, wire, (frame("PING", 0, 0, bytes(8)) for _ in range(5000))) is None
    assert verdict(ours) is None


async def test_answers_to_a_peer_that_sends_requests_and_does_not_read_are_bounded():
    def answer(stream):
        stream.send_headers(OK, True)

    ours, wire = await begun(answer=answer, max_outbound_frames=100)
    wire.transport.pause_reading()
    for number in range(1000):
        wire.send(frame("HEADERS", 5, 2 * number + 1, SECTION))
    await settle(100)
    assert verdict(ours) == (CALM, "more than 100 frames wait for a peer that does not read")
    assert ours.last_id < 600


async def test_a_peer_that_reads_slowly_and_always_lags_behind_is_served():
    ours, wire = await begun(max_outbound_frames=30, max_outbound_control_frames=30)
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 2**30)) + frame("WINDOW_UPDATE", 0, 0, u32(2**30)))
    wire.send(frame("HEADERS", 5, 1, SECTION))
    await settle()
    stream = ours.opened[1]
    stream.send_headers(OK, False)
    wire.transport.pause_reading()
    for _ in range(200):
        stream.send_data(b"x" * 100, False)
        wire.send(frame("PING", 0, 0, bytes(8)))
        await settle(3)
        while wire.transport.waiting > 1000:  # it reads, and never catches up
            wire.data_received(wire.transport._inbox.pop(0))
    assert verdict(ours) is None
    assert 0 < ours.flood.frames_unsent <= 30
    assert len(ours.flood._writes) <= 30


# --- frames without content -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flood",
    [
        frame("HEADERS", 4, 1, block(POST)) + frame("DATA", 0, 1) * 2,
        frame("HEADERS", 4, 1, block(POST)) + frame("DATA", 8, 1, b"\x05" + bytes(5)) * 2,
        frame("HEADERS", 1, 1, SECTION) + frame("CONTINUATION", 0, 1) * 2,
        frame("HEADERS", 0, 1) + frame("CONTINUATION", 0, 1),
    ],
    ids=["DATA", "padding only", "CONTINUATION", "HEADERS and CONTINUATION"],
)
async def test_consecutive_empty_frames_end_the_connection(flood):
    ours, wire = await begun()
    wire.send(flood)
    await settle()
    assert verdict(ours) == (CALM, "more than 1 consecutive frames without payload")


async def test_an_empty_frame_between_others_is_harmless():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(POST)) + (frame("DATA", 0, 1) + frame("DATA", 0, 1, b"x")) * 20 + frame("DATA", 1, 1))
    await settle()
    assert verdict(ours) is None
    assert ours.opened[1].ended


# --- field sections ---------------------------------------------------------------------------------------------------


async def test_a_section_without_end_is_not_collected_beyond_the_limit():
    ours, wire = await begun()
    tracemalloc.start()
    pieces = [frame("HEADERS", 1, 1, SECTION)] + [frame("CONTINUATION", 0, 1, b"\x00\x01a\x7f\x80\x7d" + bytes(16000))] * 100
    assert await poured(ours, wire, pieces) is not None or wire.closed
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict(ours) == (CALM, "a field section of more than 122880 octets")
    assert peak < 4_000_000


async def test_a_section_of_many_small_pieces_is_refused():
    ours, wire = await begun()
    pieces = [frame("HEADERS", 1, 1, SECTION)] + [frame("CONTINUATION", 0, 1, b"\x82")] * 1000
    assert await poured(ours, wire, pieces) is not None or wire.closed
    assert verdict(ours) == (CALM, "more than 512 CONTINUATION frames")


async def test_a_bomb_of_table_references_costs_no_memory():
    ours, wire = await begun()
    entry = b"\x40\x06cookie\x7f\xa1\x1e" + b"x" * 4000
    wire.send(frame("HEADERS", 5, 1, SECTION + entry))
    await settle()
    tracemalloc.start()
    for number in range(1, 100):
        wire.send(frame("HEADERS", 5, 2 * number + 1, SECTION + b"\xbe" * 16_000))
        await settle(3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict(ours) is None
    assert peak < 4_000_000
    assert len(ours.opened) == 1


# --- other frames -----------------------------------------------------------------------------------------------------


async def test_a_priority_flood_ends_the_connection():
    ours, wire = await begun()
    assert await poured(ours, wire, [frame("PRIORITY", 0, 3, u32(0) + b"\0")] * 100) is None
    wire.send(frame("PRIORITY", 0, 3, u32(0) + b"\0"))
    await settle()
    assert verdict(ours) == (CALM, "101 PRIORITY frames for 0 streams")


async def test_a_window_update_flood_ends_the_connection():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(POST)))
    assert await poured(ours, wire, [frame("WINDOW_UPDATE", 0, 0, u32(1))] * 7) is None
    wire.send(frame("WINDOW_UPDATE", 0, 0, u32(1)))
    await settle()
    assert verdict(ours) == (CALM, "8 WINDOW_UPDATE frames for 0 DATA frames")


async def test_window_updates_that_follow_data_are_harmless():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(POST)))
    await settle()
    for _ in range(50):
        ours.opened[1].send_data(b"x", False)
        wire.send(frame("WINDOW_UPDATE", 0, 0, u32(1)) * 10 + frame("WINDOW_UPDATE", 0, 1, u32(1)) * 10)
        await settle(3)
    assert verdict(ours) is None


async def test_windows_of_one_octet_cost_the_sender_no_more_than_it_holds():
    ours, wire = await begun(buffer_limit=10_000)
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 0)))
    for number in range(50):
        wire.send(frame("HEADERS", 5, 2 * number + 1, SECTION))
    await settle()
    paused = 0
    for stream in ours.opened.values():
        stream.send_headers(OK, False)
        paused += not stream.send_data(bytes(1000), False)
    assert ours.held == 50_000
    assert paused == 40, "what waits for windows is bounded for all streams together"


async def test_a_flood_of_tiny_frames_leaves_the_loop_to_others_and_stops_being_read():
    ours, wire = await begun()
    wire.send(frame("PING", 0, 0, bytes(8)) * 500)
    await settle(1)
    turns = []
    for _ in range(12):
        before = len(frames(wire.received))
        await settle(1)
        turns.append(len(frames(wire.received)) - before)
        if turns[-1]:
            assert not ours.transport.reading or sum(turns) >= 500 - 64
    assert max(turns) <= 2 * 64
    await settle()
    assert len(frames(wire.take())) == 500
    assert ours.transport.reading


async def test_field_sections_count_for_what_they_cost():
    ours, wire = await begun()
    large = SECTION + b"\x10\x01a\x7f\x99\x74" + b"x" * 15_000
    wire.send(b"".join(frame("HEADERS", 5, 2 * number + 1, large) for number in range(60)))
    await settle(3)
    assert ours.last_id < 20
    await settle(60)
    assert len(ours.opened) == 60


@pytest.mark.parametrize("limit", [1, 3])
def test_the_limits_are_the_options(limit):
    flood = Flood(Http2Options(max_outbound_control_frames=limit, max_consecutive_inbound_frames_with_empty_payload=limit))
    for event in (flood.on_control, lambda: flood.on_payload(empty=True)):
        for _ in range(limit):
            event()
        with pytest.raises(ConnectionBroken) as raised:
            event()
        assert raised.value.code == CALM
