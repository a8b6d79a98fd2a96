"""How connections begin and end: what is announced, GOAWAY from either side, and the loss of the transport."""

import struct

import pytest

from .ends import GET, OK, POST, PREFACE, block, client, frame, frames, pair, server, settle

SETTINGS = frame("SETTINGS")


def u32(*values):
    return struct.pack(f">{len(values)}L", *values)


def goaways(data):
    return [struct.unpack_from(">LL", payload) for kind, _, _, payload in frames(data) if kind == "GOAWAY"]


async def begun(**settings):
    ours, wire = server(**settings)
    wire.send(PREFACE + SETTINGS)
    await settle()
    wire.take()
    return ours, wire


# --- the beginning ----------------------------------------------------------------------------------------------------


async def test_a_server_announces_what_envoy_announces():
    _, wire = server()
    await settle()
    (kind, _, _, payload), update = frames(wire.take())
    assert kind == "SETTINGS"
    assert list(struct.iter_unpack(">HL", payload)) == [(1, 4096), (8, 0), (3, 1024), (4, 16777216)]
    assert update == ("WINDOW_UPDATE", 0, 0, u32(25100289))


async def test_a_client_begins_with_the_preface_and_allows_no_push():
    _, wire = client()
    await settle()
    received = wire.take()
    assert received.startswith(PREFACE)
    (kind, _, _, payload), _ = frames(received.removeprefix(PREFACE))
    assert kind == "SETTINGS"
    assert list(struct.iter_unpack(">HL", payload)) == [(1, 4096), (2, 0), (3, 1024), (4, 16777216)]


async def test_a_client_need_not_wait_for_the_servers_settings():
    ours, wire = client()
    ours.ask(GET)
    await settle()
    assert [kind for kind, *_ in frames(wire.take().removeprefix(PREFACE))] == ["SETTINGS", "WINDOW_UPDATE", "HEADERS"]


async def test_settings_are_acknowledged_and_told():
    ours, wire = await begun()
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 3, 7)))
    await settle()
    assert frames(wire.take()) == [("SETTINGS", 1, 0, b"")]
    assert ours.peer.max_concurrent_streams == 7
    assert ours.events == ["settings", "settings"]


async def test_extended_connect_is_offered_and_taken_only_when_allowed():
    asked = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:4]]
    ours, wire = await begun(allow_connect=True)
    wire.send(frame("HEADERS", 4, 1, block(asked)))
    await settle()
    assert ours.opened[1].sections == [asked]
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(asked)))
    await settle()
    assert not ours.opened
    assert wire.closed


async def test_a_ping_of_ours_is_told_when_it_is_answered():
    ours, wire = await begun()
    ours.ping(b"12345678")
    await settle()
    assert frames(wire.take()) == [("PING", 0, 0, b"12345678")]
    wire.send(frame("PING", 1, 0, b"12345678"))
    await settle()
    assert ours.events[-1] == ("pong", b"12345678")


async def test_a_client_starts_no_more_streams_than_the_server_allows():
    ours, wire = client()
    wire.send(frame("SETTINGS", 0, 0, struct.pack(">HL", 3, 2)))
    await settle()
    assert ours.available() == 2
    ours.ask(GET)
    ours.ask(GET)
    assert ours.available() == 0
    await settle()
    wire.send(frame("HEADERS", 5, 1, block(OK)))
    await settle()
    assert ours.available() == 1
    ours.next_id = 2**31 + 1
    assert ours.available() == 0, "ids are used up (RFC 9113 5.1.1)"


# --- the end of a server's connection ---------------------------------------------------------------------------------


async def test_a_server_leaves_in_two_steps_and_loses_no_request():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 5, 1, block(GET)))
    await settle()
    ours.drain()
    await settle()
    assert goaways(wire.take()) == [(2**31 - 1, 0)]
    wire.send(frame("HEADERS", 5, 3, block(GET)))  # sent before the GOAWAY was read
    await settle()
    ours.leave()
    await settle()
    assert goaways(wire.take()) == [(3, 0)]
    wire.send(frame("HEADERS", 5, 5, block(GET)))
    await settle()
    assert [(kind, stream_id) for kind, _, stream_id, _ in frames(wire.take())] == [("RST_STREAM", 5)]
    ours.opened[1].send_headers(OK, True)
    await settle()
    assert not wire.closed
    ours.opened[3].send_headers(OK, True)
    await settle()
    assert [stream_id for kind, _, stream_id, _ in frames(wire.take()) if kind == "HEADERS"] == [1, 3]
    assert wire.closed


async def test_an_idle_connection_that_is_left_closes_at_once():
    ours, wire = await begun()
    ours.leave()
    ours.leave()
    await settle()
    assert goaways(wire.take()) == [(0, 0)]
    assert wire.closed


async def test_a_clients_goaway_lets_its_requests_be_answered():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 5, 1, block(GET)) + frame("GOAWAY", 0, 0, u32(0, 0)))
    await settle()
    assert ours.events[-1] == ("goaway", 0, 0)
    ours.opened[1].send_headers(OK, True)
    await settle()
    assert [kind for kind, *_ in frames(wire.take())] == ["HEADERS"]


# --- the end of a client's connection ---------------------------------------------------------------------------------


async def test_streams_above_a_servers_last_are_given_back_and_the_others_finish():
    ours, wire = client()
    wire.send(SETTINGS)
    await settle()
    streams = [ours.ask(GET) for _ in range(3)]
    await settle()
    wire.send(frame("GOAWAY", 0, 0, u32(3, 0)))
    await settle()
    assert [stream.events for stream in streams] == [[], [], [("reset", 7)]]
    assert ours.events[-1] == ("goaway", 3, 0)
    assert ours.available() == 0
    wire.send(frame("HEADERS", 5, 1, block(OK)) + frame("HEADERS", 5, 3, block(OK)))
    await settle()
    assert streams[1].ended
    assert wire.closed


async def test_a_servers_first_goaway_lets_all_streams_finish():
    ours, wire = client()
    wire.send(SETTINGS)
    await settle()
    stream = ours.ask(GET)
    wire.send(frame("GOAWAY", 0, 0, u32(2**31 - 1, 0)))
    await settle()
    assert ours.available() == 0
    assert not wire.closed
    wire.send(frame("GOAWAY", 0, 0, u32(1, 0)) + frame("HEADERS", 5, 1, block(OK)))
    await settle()
    assert stream.ended
    assert wire.closed


async def test_a_goaway_with_an_error_code_is_told():
    ours, wire = client()
    wire.send(SETTINGS + frame("GOAWAY", 0, 0, u32(0, 11) + b"calm down"))
    await settle()
    assert ours.events[-1] == ("goaway", 0, 11)


# --- loss -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_the_loss_of_the_transport_is_told_to_every_stream_once(ending):
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(POST)) + frame("HEADERS", 4, 3, block(POST)))
    await settle()
    getattr(wire.transport, ending)()
    await settle()
    assert [stream.events[1][0] for stream in ours.opened.values()] == ["lost", "lost"]
    assert all(len(stream.events) == 2 for stream in ours.opened.values())
    for stream in ours.opened.values():
        stream.send_headers(OK, False)
        stream.send_data(b"x", True)
        stream.consumed(5)
        stream.reset(8)
    await settle()
    assert ours.streams == {}


async def test_a_stream_reset_by_the_peer_is_told_and_can_be_written_to_without_effect():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 4, 1, block(POST)))
    await settle()
    wire.send(frame("RST_STREAM", 0, 1, u32(8)))
    await settle()
    stream = ours.opened[1]
    assert stream.events == ["headers", ("reset", 8)]
    stream.send_headers(OK, True)
    stream.reset(2)
    await settle()
    assert wire.take() == b""


async def test_the_failure_of_one_end_is_told_at_both():
    mine, yours = pair()
    stream = mine.ask(POST, end=False)
    await settle()
    mine.fail(2, "a reason")
    await settle()
    assert stream.events == [("lost", "a reason")]
    assert ("goaway", 0, 2) in yours.events
    assert yours.opened[1].events == ["headers", ("lost", "")]


async def test_representations_show_the_state():
    ours, wire = await begun()
    wire.send(frame("HEADERS", 5, 1, block(GET)))
    await settle()
    assert repr(ours) == "<Ours server OPEN streams=1 last=1>"
    assert repr(ours.opened[1]) == "<Recorder 1 HALF_CLOSED_REMOTE send=65535 outbox=0>"
