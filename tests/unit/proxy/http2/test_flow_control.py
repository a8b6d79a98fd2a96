"""Windows and backpressure: what a slow side does to the other, and what it does not."""

import struct

from .ends import GET, OK, POST, PREFACE, block, client, frame, frames, pair, server, settle, with_library

SETTINGS = frame("SETTINGS")


def window_update(stream_id, increment):
    return frame("WINDOW_UPDATE", 0, stream_id, struct.pack(">L", increment))


def updates(data):
    return [(stream_id, struct.unpack(">L", payload)[0]) for kind, _, stream_id, payload in frames(data) if kind == "WINDOW_UPDATE"]


def data_of(received):
    return [(stream_id, flags & 1, payload) for kind, flags, stream_id, payload in frames(received) if kind == "DATA"]


async def opened(*, settings=SETTINGS, **ours):
    """Our server with one request whose body is still coming."""
    mine, wire = server(**ours)
    wire.send(PREFACE + settings + frame("SETTINGS", 1) + frame("HEADERS", 4, 1, block(POST)))
    await settle()
    wire.take()
    return mine, wire, mine.opened[1]


async def test_a_window_is_given_back_when_data_has_been_passed_on_and_not_before():
    mine, wire, stream = await opened(initial_stream_window_size=100_000, initial_connection_window_size=200_000)
    mine.consuming = False
    for _ in range(6):
        wire.send(frame("DATA", 0, 1, bytes(16_000)))
    await settle()
    assert wire.take() == b""
    stream.consumed(49_000)
    await settle()
    assert wire.take() == b"", "updates are collected until they are worth a frame"
    stream.consumed(1_000)
    await settle()
    assert updates(wire.take()) == [(1, 50_000)]
    stream.consumed(46_000)
    wire.send(frame("DATA", 0, 1, bytes(16_000)))
    await settle()
    stream.consumed(16_000)
    await settle()
    assert updates(wire.take()) == [(0, 112_000), (1, 62_000)]


async def test_padding_is_given_back_without_anybody_asking():
    mine, wire, _ = await opened(initial_stream_window_size=1000)
    mine.consuming = False
    wire.send(frame("DATA", 8, 1, b"\xf9" + b"x" + bytes(249)) * 2)
    await settle()
    assert updates(wire.take()) == [(1, 500)]


async def test_more_cannot_be_given_back_than_was_received():
    mine, wire, stream = await opened(initial_stream_window_size=1000)
    mine.consuming = False
    wire.send(frame("DATA", 0, 1, bytes(600)))
    await settle()
    stream.consumed(10**9)
    await settle()
    assert updates(wire.take()) == [(1, 600)]


async def test_a_reset_gives_the_connection_back_what_nobody_will_pass_on():
    mine, wire, stream = await opened(initial_connection_window_size=100_000)
    mine.consuming = False
    wire.send(frame("DATA", 0, 1, bytes(16_000)) * 4)
    await settle()
    assert updates(wire.take()) == []
    stream.reset(8)
    stream.consumed(64_000)
    await settle()
    assert updates(wire.take()) == [(0, 64_000)]
    wire.send(frame("DATA", 0, 1, bytes(16_000)) * 4)
    await settle()
    assert updates(wire.take()) == [(0, 64_000)], "late data of the stream counts for the connection"


async def test_a_window_of_one_octet_is_respected():
    mine, wire, stream = await opened(settings=frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 1)))
    stream.send_headers(OK, False)
    assert stream.send_data(b"abc", True)
    await settle()
    assert data_of(wire.take()) == [(1, 0, b"a")]
    wire.send(window_update(1, 1))
    await settle()
    assert data_of(wire.take()) == [(1, 0, b"b")]
    wire.send(window_update(1, 5))
    await settle()
    assert data_of(wire.take()) == [(1, 1, b"c")]
    assert mine.streams[1].state == 1


async def test_an_end_without_data_needs_no_window():
    _, wire, stream = await opened(settings=frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 0)))
    stream.send_headers(OK, False)
    stream.send_data(b"", True)
    await settle()
    assert data_of(wire.take()) == [(1, 1, b"")]


async def test_an_initial_window_may_make_windows_negative():
    _, wire, stream = await opened()
    stream.send_headers(OK, False)
    stream.send_data(bytes(10_000), False)
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 100)))
    await settle()
    wire.take()
    assert stream.send_window == 100 - 10_000
    stream.send_data(b"x", True)
    wire.send(window_update(1, 9_900))
    await settle()
    assert data_of(wire.take()) == []
    wire.send(window_update(1, 1))
    await settle()
    assert data_of(wire.take()) == [(1, 1, b"x")]


async def test_an_initial_window_that_grows_lets_waiting_data_go():
    _, wire, stream = await opened(settings=frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 0)))
    stream.send_headers(OK, False)
    stream.send_data(b"abc", True)
    await settle()
    assert data_of(wire.take()) == []
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 100)))
    await settle()
    assert data_of(wire.take()) == [(1, 1, b"abc")]


async def test_trailers_wait_for_the_body_before_them():
    _, wire, stream = await opened(settings=frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 2)))
    stream.send_headers(OK, False)
    stream.send_data(b"abc", False)
    stream.send_headers([(b"grpc-status", b"0")], True)
    await settle()
    wire.take()
    wire.send(window_update(1, 10))
    await settle()
    kinds = [(kind, flags & 1) for kind, flags, _, _ in frames(wire.take())]
    assert kinds == [("DATA", 0), ("HEADERS", 1)]


async def test_a_source_is_paused_at_the_high_water_mark_and_resumed_at_the_low_one():
    settings = frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 0))
    _, wire, stream = await opened(settings=settings, buffer_limit=10_000)
    stream.send_headers(OK, False)
    assert stream.send_data(bytes(10_000), False)
    assert not stream.send_data(bytes(1), False)
    wire.send(window_update(1, 5_000))
    await settle()
    assert "writable" not in stream.events
    wire.send(window_update(1, 1))
    await settle()
    assert stream.events.count("writable") == 1
    assert stream.send_data(bytes(1), False)


async def test_a_peer_that_does_not_read_stops_the_data_and_not_the_answers_to_its_pings():
    mine, wire, stream = await opened(settings=frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 10**6)), buffer_limit=30_000)
    wire.send(window_update(0, 10**6))
    await settle()
    wire.transport.pause_reading()
    stream.send_headers(OK, False)
    written = 0
    while stream.send_data(bytes(5_000), False):
        written += 5_000
        await settle(2)
        assert written < 10**6
    assert mine.paused
    assert written <= 2 * 30_000 + 10_000, "one buffer of the transport and one of the stream"
    wire.send(frame("PING", 0, 0, b"12345678"))
    await settle()
    assert wire.transport.waiting < 2 * 30_000
    wire.transport.resume_reading()
    await settle()
    received = frames(wire.take())
    assert ("PING", 1, 0, b"12345678") in received
    assert sum(len(payload) for kind, _, _, payload in received if kind == "DATA") == written + 5_000
    assert stream.events == ["headers", "writable"]


async def test_streams_share_the_connections_window_in_turns():
    mine, wire = server()
    wire.send(PREFACE + frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 10**6)))
    for stream_id in (1, 3, 5):
        wire.send(frame("HEADERS", 5, stream_id, block(GET)))
    await settle()
    for stream_id in (1, 3, 5):
        mine.opened[stream_id].send_headers(OK, False)
        mine.opened[stream_id].send_data(bytes(10**5), True)
    await settle()
    wire.take()
    wire.send(window_update(0, 6 * 16384))
    await settle()
    assert [stream_id for stream_id, _, _ in data_of(wire.take())] in ([1, 3, 5, 1, 3, 5], [3, 5, 1, 3, 5, 1], [5, 1, 3, 5, 1, 3])


async def test_a_large_body_does_not_keep_the_loop_from_others():
    mine, wire = server()
    wire.send(
        PREFACE + frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 2**30)) + window_update(0, 2**30) + frame("HEADERS", 5, 1, block(GET))
    )
    await settle()
    wire.take()
    mine.opened[1].send_headers(OK, False)
    mine.opened[1].send_data(bytes(10**6), True)
    await settle(2)
    assert len(wire.received) < 600_000
    await settle()
    assert sum(len(payload) for _, _, payload in data_of(wire.take())) == 10**6


async def test_a_reset_stream_sends_nothing_of_what_waited():
    mine, wire, stream = await opened(settings=frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 0)))
    stream.send_headers(OK, False)
    stream.send_data(b"abc", True)
    stream.reset(2)
    stream.send_data(b"abc", True)
    stream.send_headers(OK, True)
    wire.send(window_update(1, 100))
    await settle()
    assert [kind for kind, *_ in frames(wire.take())] == ["HEADERS", "RST_STREAM"]
    assert mine.streams == {}


async def test_a_slow_receiver_at_the_end_holds_up_the_sender_at_the_beginning():
    mine, yours = pair({"initial_stream_window_size": 100_000, "initial_connection_window_size": 200_000}, {"buffer_limit": 50_000})
    await settle()
    yours.consuming = False
    stream = mine.ask(POST, end=False)
    sent = 0
    while stream.send_data(bytes(10_000), False):
        sent += 10_000
        await settle(2)
        assert sent < 10**6
    assert sent <= 160_000
    held = yours.opened[1]
    assert len(held.body) == 100_000
    held.consumed(100_000)
    await settle()
    assert stream.events == ["writable"]


async def test_the_library_gets_all_of_a_body_through_small_windows():
    def answer(stream):
        stream.send_headers(OK, False)
        stream.send_data(bytes(range(250)) * 1000, True)

    _, library = with_library(client=False, answer=answer, theirs={"INITIAL_WINDOW_SIZE": 1000})
    library.h2.send_headers(1, GET, end_stream=True)
    library.flush()
    for _ in range(60):
        await settle()
    assert library.bodies[1] == bytes(range(250)) * 1000
    assert library.ended == {1}


async def test_a_client_counts_its_uploads_against_the_servers_windows():
    ours, wire = client()
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 4, 10)))
    await settle()
    stream = ours.ask(POST, end=False)
    stream.send_data(b"x" * 25, True)
    await settle()
    received = wire.take().removeprefix(PREFACE)
    assert data_of(received) == [(1, 0, b"x" * 10)]
    wire.send(window_update(1, 15))
    await settle()
    assert data_of(wire.take()) == [(1, 1, b"x" * 15)]
