"""What RFC 9113 forbids, section by section: bytes in, and the error that comes out."""

import struct

import pytest

from .ends import GET, OK, POST, PREFACE, block, client, frame, frames, server, settle

NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE, REFUSED, COMPRESSION, CALM = 5, 6, 7, 9, 11

END, HEADERS_END, PADDED, PRIORITIZED = 1, 4, 8, 32
SETTINGS = frame("SETTINGS")
OPENED = frame("HEADERS", HEADERS_END, 1, block(POST))
ENDED = frame("HEADERS", HEADERS_END | END, 1, block(GET))
RESET = frame("RST_STREAM", 0, 1, struct.pack(">L", 8))
SECTION = block(GET)


def u32(*values):
    return struct.pack(f">{len(values)}L", *values)


def setting(identifier, value):
    return struct.pack(">HL", identifier, value)


async def outcome(given, **settings):
    """What our server says to `given`, read after the preface and SETTINGS: errors only."""
    ours, wire = server(stream_error_on_invalid_http_messaging=True, **settings)
    wire.send(PREFACE + SETTINGS)
    await settle(5)
    wire.take()
    wire.send(given)
    await settle()
    said = errors(wire.take())
    assert wire.closed == any(kind == "GOAWAY" for kind, *_ in said), "a connection error, and nothing else, ends the connection"
    if wire.closed:
        assert ours.streams == {}
        assert ours.events[-1][:2] == ("failed", said[-1][1])
    return said


def errors(data):
    said = []
    for kind, _, stream_id, payload in frames(data):
        if kind == "GOAWAY":
            said.append((kind, struct.unpack_from(">L", payload, 4)[0]))
        elif kind == "RST_STREAM":
            said.append((kind, stream_id, struct.unpack(">L", payload)[0]))
    return said


BROKEN = [
    ("4.1 a frame before SETTINGS is done is judged too: reserved bit ignored", frame("PING", 0, 1 << 31, bytes(8)), None),
    ("4.1 an unknown type is ignored", frame(0xBB, 0xFF, 77, b"x" * 100) + ENDED, None),
    ("4.1 undefined flags are ignored", frame("PING", 0xFE, 0, bytes(8)), None),
    ("4.2 DATA longer than MAX_FRAME_SIZE", OPENED + frame("DATA", 0, 1, bytes(16385)), FRAME_SIZE),
    ("4.2 HEADERS longer than MAX_FRAME_SIZE", frame("HEADERS", HEADERS_END, 1, bytes(16385)), FRAME_SIZE),
    ("4.2 an unknown frame longer than MAX_FRAME_SIZE", frame(0xBB, 0, 0, bytes(16385)), FRAME_SIZE),
    ("4.3 a field section that cannot be decoded", frame("HEADERS", HEADERS_END | END, 1, b"\xff\xff\xff\xff\xff\xff\xff"), COMPRESSION),
    (
        "4.3 an index that does not exist",
        frame("HEADERS", HEADERS_END | END, 1, b"\xf0"),
        COMPRESSION,
    ),
    ("4.3 PRIORITY within a field section", frame("HEADERS", END, 1, SECTION) + frame("PRIORITY", 0, 3, bytes(5)), PROTOCOL),
    ("4.3 another stream's HEADERS within one", frame("HEADERS", END, 1, SECTION) + frame("HEADERS", 5, 3, SECTION), PROTOCOL),
    ("4.3 an unknown frame within one", frame("HEADERS", END, 1, SECTION) + frame(0xBB), PROTOCOL),
    ("5.1 idle: DATA", frame("DATA", END, 1, b"x"), PROTOCOL),
    ("5.1 idle: RST_STREAM", RESET, PROTOCOL),
    ("5.1 idle: WINDOW_UPDATE", frame("WINDOW_UPDATE", 0, 1, u32(1)), PROTOCOL),
    ("5.1 idle: CONTINUATION", frame("CONTINUATION", HEADERS_END, 1, SECTION), PROTOCOL),
    ("5.1 idle: PRIORITY is allowed", frame("PRIORITY", 0, 1, u32(0) + b"\x0f"), None),
    ("5.1 idle: DATA on an even stream", OPENED + frame("DATA", 0, 2, b"x"), PROTOCOL),
    ("5.1 half-closed (remote): DATA", ENDED + frame("DATA", END, 1, b"x"), (1, STREAM_CLOSED)),
    ("5.1 half-closed (remote): HEADERS", ENDED + frame("HEADERS", 5, 1, SECTION), (1, STREAM_CLOSED)),
    ("5.1 half-closed (remote): CONTINUATION", ENDED + frame("CONTINUATION", HEADERS_END, 1, SECTION), PROTOCOL),
    (
        "5.1 half-closed (remote): WINDOW_UPDATE, PRIORITY, RST_STREAM are allowed",
        ENDED + frame("WINDOW_UPDATE", 0, 1, u32(5)) + frame("PRIORITY", 0, 1, bytes(5)) + RESET,
        None,
    ),
    ("5.1 closed by the peer's RST_STREAM: DATA", OPENED + RESET + frame("DATA", END, 1, b"x"), (1, STREAM_CLOSED)),
    ("5.1 closed by the peer's RST_STREAM: HEADERS", OPENED + RESET + frame("HEADERS", 5, 1, SECTION), STREAM_CLOSED),
    ("5.1 closed: CONTINUATION", OPENED + RESET + frame("CONTINUATION", HEADERS_END, 1, SECTION), PROTOCOL),
    (
        "5.1 closed: WINDOW_UPDATE, RST_STREAM and PRIORITY are ignored",
        OPENED + RESET + RESET + frame("WINDOW_UPDATE", 0, 1, u32(1)) + frame("PRIORITY", 0, 1, bytes(5)),
        None,
    ),
    ("5.1.1 an even stream", frame("HEADERS", 5, 2, SECTION), PROTOCOL),
    ("5.1.1 a stream lower than the last", frame("HEADERS", 5, 5, SECTION) + frame("HEADERS", 5, 3, SECTION), PROTOCOL),
    ("5.1.1 streams may be skipped", frame("HEADERS", 5, 5, SECTION) + frame("HEADERS", 5, 99, SECTION), None),
    ("5.3 HEADERS that depend on themselves", frame("HEADERS", 5 | PRIORITIZED, 1, u32(1) + b"\0" + SECTION), PROTOCOL),
    ("5.3 PRIORITY that depends on itself", ENDED + frame("PRIORITY", 0, 1, u32(1) + b"\0"), (1, PROTOCOL)),
    ("5.3 priority of HEADERS is ignored", frame("HEADERS", 5 | PRIORITIZED, 1, u32(1 << 31 | 7) + b"\xff" + SECTION), None),
    ("6.1 DATA on stream 0", frame("DATA", 0, 0, b"x"), PROTOCOL),
    ("6.1 padding as long as the payload", OPENED + frame("DATA", PADDED | END, 1, b"\x05abcd"), PROTOCOL),
    ("6.1 padded and empty", OPENED + frame("DATA", PADDED | END, 1), FRAME_SIZE),
    ("6.1 padding that fills the payload is allowed", OPENED + frame("DATA", PADDED | END, 1, b"\x04abcd"), None),
    ("6.2 HEADERS on stream 0", frame("HEADERS", 5, 0, SECTION), PROTOCOL),
    ("6.2 padding longer than the payload", frame("HEADERS", 5 | PADDED, 1, b"\xff" + SECTION), PROTOCOL),
    ("6.2 padded and empty", frame("HEADERS", 5 | PADDED, 1), FRAME_SIZE),
    ("6.2 too short for its priority", frame("HEADERS", 5 | PRIORITIZED, 1, b"\0\0\0"), FRAME_SIZE),
    ("6.2 padded, with priority", frame("HEADERS", 5 | PADDED | PRIORITIZED, 1, b"\x03" + bytes(5) + SECTION + bytes(3)), None),
    ("6.3 PRIORITY on stream 0", frame("PRIORITY", 0, 0, bytes(5)), PROTOCOL),
    ("6.3 PRIORITY of 4 octets", ENDED + frame("PRIORITY", 0, 1, bytes(4)), (1, FRAME_SIZE)),
    ("6.3 PRIORITY of 6 octets on an idle stream", frame("PRIORITY", 0, 1, bytes(6)), FRAME_SIZE),
    ("6.4 RST_STREAM on stream 0", frame("RST_STREAM", 0, 0, u32(8)), PROTOCOL),
    ("6.4 RST_STREAM of 3 octets", OPENED + frame("RST_STREAM", 0, 1, bytes(3)), FRAME_SIZE),
    ("6.5 an acknowledgement with a payload", frame("SETTINGS", 1, 0, setting(3, 1)), FRAME_SIZE),
    ("6.5 SETTINGS on a stream", frame("SETTINGS", 0, 1), PROTOCOL),
    ("6.5 SETTINGS of 7 octets", frame("SETTINGS", 0, 0, bytes(7)), FRAME_SIZE),
    ("6.5.2 ENABLE_PUSH 2", frame("SETTINGS", 0, 0, setting(2, 2)), PROTOCOL),
    ("6.5.2 INITIAL_WINDOW_SIZE above 2^31-1", frame("SETTINGS", 0, 0, setting(4, 2**31)), FLOW_CONTROL),
    ("6.5.2 MAX_FRAME_SIZE too small", frame("SETTINGS", 0, 0, setting(5, 16383)), PROTOCOL),
    ("6.5.2 MAX_FRAME_SIZE too large", frame("SETTINGS", 0, 0, setting(5, 2**24)), PROTOCOL),
    ("6.5.2 ENABLE_CONNECT_PROTOCOL 2 (RFC 8441 3)", frame("SETTINGS", 0, 0, setting(8, 2)), PROTOCOL),
    ("6.5.2 ENABLE_CONNECT_PROTOCOL taken back", frame("SETTINGS", 0, 0, setting(8, 1) + setting(8, 0)), PROTOCOL),
    ("6.5.2 an unknown setting is ignored", frame("SETTINGS", 0, 0, setting(0xAA, 1)), None),
    ("6.5.2 too many settings (CVE-2020-11080)", frame("SETTINGS", 0, 0, setting(0xAA, 1) * 33), CALM),
    ("6.6 PUSH_PROMISE", OPENED + frame("PUSH_PROMISE", 4, 1, u32(2) + SECTION), PROTOCOL),
    ("6.7 PING on a stream", frame("PING", 0, 1, bytes(8)), PROTOCOL),
    ("6.7 PING of 6 octets", frame("PING", 0, 0, bytes(6)), FRAME_SIZE),
    ("6.8 GOAWAY on a stream", frame("GOAWAY", 0, 1, bytes(8)), PROTOCOL),
    ("6.8 GOAWAY of 7 octets", frame("GOAWAY", 0, 0, bytes(7)), FRAME_SIZE),
    ("6.9 WINDOW_UPDATE by 0 of the connection", frame("WINDOW_UPDATE", 0, 0, u32(0)), PROTOCOL),
    ("6.9 WINDOW_UPDATE by 0 of a stream", OPENED + frame("WINDOW_UPDATE", 0, 1, u32(0)), (1, PROTOCOL)),
    ("6.9 WINDOW_UPDATE of 3 octets", frame("WINDOW_UPDATE", 0, 0, bytes(3)), FRAME_SIZE),
    ("6.9.1 the connection's window above 2^31-1", frame("WINDOW_UPDATE", 0, 0, u32(2**31 - 1)) * 2, FLOW_CONTROL),
    ("6.9.1 a stream's window above 2^31-1", OPENED + frame("WINDOW_UPDATE", 0, 1, u32(2**31 - 1)), (1, FLOW_CONTROL)),
    (
        "6.9.2 INITIAL_WINDOW_SIZE makes a window too large",
        OPENED + frame("WINDOW_UPDATE", 0, 1, u32(2**31 - 1 - 65535)) + frame("SETTINGS", 0, 0, setting(4, 65536)),
        FLOW_CONTROL,
    ),
    ("6.10 CONTINUATION without HEADERS", ENDED + frame("CONTINUATION", HEADERS_END, 1, SECTION), PROTOCOL),
    ("6.10 CONTINUATION behind END_HEADERS", OPENED + frame("CONTINUATION", HEADERS_END, 1, SECTION), PROTOCOL),
    ("6.10 CONTINUATION behind DATA", OPENED + frame("DATA", 0, 1, b"x") + frame("CONTINUATION", 4, 1, SECTION), PROTOCOL),
    ("6.10 CONTINUATION of another stream", frame("HEADERS", END, 1, SECTION) + frame("CONTINUATION", 4, 3, SECTION), PROTOCOL),
    ("6.10 CONTINUATION on stream 0", frame("HEADERS", END, 1, SECTION) + frame("CONTINUATION", 4, 0, SECTION), PROTOCOL),
    (
        "6.10 a section in three pieces",
        frame("HEADERS", END, 1, SECTION[:3]) + frame("CONTINUATION", 0, 1, SECTION[3:9]) + frame("CONTINUATION", 4, 1, SECTION[9:]),
        None,
    ),
    ("7 an unknown error code in RST_STREAM", OPENED + frame("RST_STREAM", 0, 1, u32(0xFF)), None),
    ("7 an unknown error code in GOAWAY", frame("GOAWAY", 0, 0, u32(0, 0xFF)), None),
    ("8.1 a second HEADERS without END_STREAM", OPENED + frame("HEADERS", 4, 1, block([(b"a", b"b")])), (1, PROTOCOL)),
    ("8.1 trailers", OPENED + frame("DATA", 0, 1, b"x") + frame("HEADERS", 5, 1, block([(b"a", b"b")])), None),
    ("8.1 pseudo-headers in trailers", OPENED + frame("HEADERS", 5, 1, block([(b":path", b"/")])), (1, PROTOCOL)),
    (
        "8.1.1 content-length and less DATA",
        frame("HEADERS", 4, 1, block([*POST, (b"content-length", b"3")])) + frame("DATA", END, 1, b"ab"),
        (1, PROTOCOL),
    ),
    (
        "8.1.1 content-length and more DATA",
        frame("HEADERS", 4, 1, block([*POST, (b"content-length", b"3")])) + frame("DATA", 0, 1, b"ab") + frame("DATA", 0, 1, b"cd"),
        (1, PROTOCOL),
    ),
    (
        "8.1.1 content-length and the end in trailers",
        frame("HEADERS", 4, 1, block([*POST, (b"content-length", b"3")])) + frame("HEADERS", 5, 1, block([(b"a", b"b")])),
        (1, PROTOCOL),
    ),
    ("8.1.1 content-length and END_STREAM", frame("HEADERS", 5, 1, block([*POST, (b"content-length", b"3")])), (1, PROTOCOL)),
    (
        "8.1.1 content-length that is kept",
        frame("HEADERS", 4, 1, block([*POST, (b"content-length", b"3")])) + frame("DATA", 0, 1, b"ab") + frame("DATA", END, 1, b"c"),
        None,
    ),
    ("8.2 an upper-case name", frame("HEADERS", 5, 1, block([*GET, (b"X-A", b"b")])), (1, PROTOCOL)),
]


@pytest.mark.parametrize(("given", "expected"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
async def test_what_is_forbidden_ends_stream_or_connection_with_the_code_of_the_rfc(given, expected):
    said = await outcome(given)
    if expected is None:
        assert said == []
    elif isinstance(expected, tuple):
        assert said == [("RST_STREAM", *expected)]
    else:
        assert said == [("GOAWAY", expected)]


@pytest.mark.parametrize("cut", [1, 2, 8, 9, 10, 50])
async def test_the_verdict_does_not_depend_on_how_the_bytes_arrive(cut):
    for name, given, expected in BROKEN[:40]:
        _ours, wire = server(stream_error_on_invalid_http_messaging=True)
        everything = PREFACE + SETTINGS + given
        pieces = [everything[start : start + cut] for start in range(0, min(len(everything), 600), cut)]
        for piece in pieces:
            wire.send(piece)
            await settle(3)
        await settle()
        if len(everything) <= 600 and isinstance(expected, int):
            assert errors(wire.take()) == [("GOAWAY", expected)], name


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        PREFACE[:-1] + b"x",
        b"\0" * 24,
        PREFACE + frame("PING", 0, 0, bytes(8)),
        PREFACE + frame("SETTINGS", 1),
    ],
)
async def test_a_connection_that_does_not_begin_with_preface_and_settings_is_refused(first):
    _ours, wire = server()
    wire.send(first)
    await settle()
    assert errors(wire.take()) == [("GOAWAY", PROTOCOL)]
    assert wire.closed


async def test_a_wrong_first_octet_is_refused_without_waiting_for_more():
    _ours, wire = server()
    wire.send(b"G")
    await settle()
    assert wire.closed


async def test_by_default_a_malformed_message_ends_the_connection_as_in_envoy():
    _ours, wire = server()
    wire.send(PREFACE + SETTINGS + frame("HEADERS", 5, 1, block([*GET, (b"X-A", b"b")])))
    await settle()
    assert errors(wire.take()) == [("GOAWAY", PROTOCOL)]


async def test_streams_beyond_the_limit_are_refused_and_the_others_go_on():
    section = block(POST)
    said = await outcome(b"".join(frame("HEADERS", 4, 2 * number + 1, section) for number in range(5)), max_concurrent_streams=3)
    assert said == [("RST_STREAM", 7, REFUSED), ("RST_STREAM", 9, REFUSED)]


async def test_frames_that_were_under_way_when_we_reset_a_stream_are_ignored():
    ours, wire = server()
    wire.send(PREFACE + SETTINGS + OPENED)
    await settle()
    ours.opened[1].reset(8)
    await settle()
    assert errors(wire.take()) == [("RST_STREAM", 1, 8)]
    trailers = block([(b"a", b"b")])
    wire.send(frame("DATA", 0, 1, b"x" * 100) + frame("WINDOW_UPDATE", 0, 1, u32(1)) + frame("HEADERS", 5, 1, trailers))
    wire.send(frame("HEADERS", 5, 3, SECTION))
    await settle()
    assert errors(wire.take()) == []
    assert ours.opened[3].sections == [GET]
    assert ours.opened[1].body == b""


async def test_too_many_or_too_large_fields_end_their_stream_and_leave_the_compression_in_step():
    indexed = b"\x40\x03x-a\x03val"
    many = block(GET) + b"\x00\x01a\x01b" * 100 + indexed
    large = block(GET) + b"\x00\x01a\x7f\xa9\x45" + b"x" * 9000
    given = frame("HEADERS", 5, 1, many) + frame("HEADERS", 5, 3, large) + frame("HEADERS", 5, 5, block(GET) + b"\xbe")
    said = await outcome(given, max_header_bytes=4000)
    assert said == [("RST_STREAM", 1, INTERNAL), ("GOAWAY", CALM)], "a section whose octets alone are far too many is not even read"
    said = await outcome(given, max_header_bytes=9000)
    assert said == [("RST_STREAM", 1, INTERNAL), ("RST_STREAM", 3, INTERNAL)]


# --- flow control -----------------------------------------------------------------------------------------------------


async def test_data_beyond_the_window_of_a_stream_ends_it():
    ours, wire = server(initial_stream_window_size=70000)
    wire.send(PREFACE + SETTINGS + frame("SETTINGS", 1) + OPENED)
    await settle()
    wire.take()
    ours.consuming = False
    for _ in range(5):
        wire.send(frame("DATA", 0, 1, bytes(16000)))
    await settle()
    assert errors(wire.take()) == [("RST_STREAM", 1, FLOW_CONTROL)]
    assert ours.opened[1].events[-1] == ("reset", FLOW_CONTROL)


async def test_data_beyond_the_window_of_the_connection_ends_it():
    ours, wire = server(initial_connection_window_size=65535, initial_stream_window_size=10**6)
    wire.send(PREFACE + SETTINGS + frame("SETTINGS", 1) + OPENED)
    await settle()
    wire.take()
    ours.consuming = False
    for _ in range(5):
        wire.send(frame("DATA", 0, 1, bytes(16000)))
    await settle()
    assert errors(wire.take()) == [("GOAWAY", FLOW_CONTROL)]


async def test_until_our_settings_are_acknowledged_a_peer_may_use_the_default_window():
    ours, wire = server(initial_stream_window_size=1000)
    ours.consuming = False
    wire.send(PREFACE + SETTINGS + OPENED + frame("DATA", 0, 1, bytes(16000)) * 4)
    await settle()
    assert errors(wire.take()) == []
    assert len(ours.opened[1].body) == 64000
    wire.send(frame("SETTINGS", 1) + frame("HEADERS", 4, 3, block(POST)) + frame("DATA", 0, 3, bytes(1001)))
    await settle()
    assert errors(wire.take()) == [("RST_STREAM", 3, FLOW_CONTROL)]


# --- an upstream that breaks rules ------------------------------------------------------------------------------------


ANSWER = block(OK)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (frame("HEADERS", 5, 2, ANSWER), PROTOCOL),
        (frame("HEADERS", 5, 3, ANSWER), PROTOCOL),
        (frame("PUSH_PROMISE", 4, 1, u32(2) + SECTION), PROTOCOL),
        (frame("SETTINGS", 0, 0, setting(2, 1)), PROTOCOL),
        (frame("HEADERS", 5, 1, block([(b"server", b"x")])), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([(b":status", b"99")])), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([(b":status", b"1000")])), (1, PROTOCOL)),
        (frame("HEADERS", 4, 1, block([(b":status", b"101")])), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([(b":status", b"100")])), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([(b":status", b"200"), (b":status", b"200")])), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([*OK, (b"connection", b"close")])), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([*OK, (b"content-length", b"5")])), (1, PROTOCOL)),
        (frame("HEADERS", 4, 1, block([(b":status", b"204")])) + frame("DATA", 1, 1, b"x"), (1, PROTOCOL)),
        (frame("HEADERS", 5, 1, block([(b":status", b"304"), (b"content-length", b"5")])), None),
        (frame("HEADERS", 4, 1, block([(b":status", b"103")])) + frame("HEADERS", 5, 1, ANSWER), None),
    ],
)
async def test_an_answer_that_is_none_ends_stream_or_connection(given, expected):
    ours, wire = client(stream_error_on_invalid_http_messaging=True)
    wire.send(SETTINGS)
    await settle()
    stream = ours.ask(GET)
    await settle()
    wire.received = wire.received.removeprefix(PREFACE)
    wire.take()
    wire.send(given)
    await settle()
    said = errors(wire.take())
    if expected is None:
        assert said == []
        assert stream.ended
    elif isinstance(expected, tuple):
        assert said == [("RST_STREAM", *expected)]
        assert stream.events[-1] == ("reset", expected[1])
    else:
        assert said == [("GOAWAY", expected)]
        assert stream.events[-1][0] == "lost"


async def test_an_answer_to_head_may_tell_a_length_and_has_no_body():
    for body, expected in ((b"", None), (b"x", PROTOCOL)):
        ours, wire = client(stream_error_on_invalid_http_messaging=True)
        wire.send(SETTINGS)
        await settle()
        stream = ours.ask([(b":method", b"HEAD"), *GET[1:]])
        stream.bodiless = True
        await settle()
        wire.send(frame("HEADERS", 4, 1, block([*OK, (b"content-length", b"5")])) + frame("DATA", END, 1, body))
        await settle()
        assert stream.ended == (expected is None)
        if expected:
            assert stream.events[-1] == ("reset", expected)


async def test_an_answer_to_nobody_is_refused():
    _ours, wire = client()
    wire.send(SETTINGS + frame("HEADERS", 5, 1, ANSWER))
    await settle()
    wire.received = wire.received.removeprefix(PREFACE)
    assert errors(wire.take()) == [("GOAWAY", PROTOCOL)]
