"""Requests and answers against an independent implementation, both ways."""

from .ends import GET, OK, POST, pair, settle, with_library


def echo(stream):
    if stream.ended:
        stream.send_headers(OK, False)
        stream.send_data(stream.body or b"hello", True)


async def test_a_server_answers_a_get():
    ours, library = with_library(client=False, answer=echo)
    library.h2.send_headers(1, GET, end_stream=True)
    library.flush()
    await settle()
    assert ours.opened[1].sections == [GET]
    assert library.heads[1] == OK
    assert library.bodies[1] == b"hello"
    assert library.ended == {1}
    assert ours.streams == {}


async def test_a_client_asks_and_is_answered_with_trailers():
    ours, library = with_library(client=True)
    stream = ours.ask(POST, end=False)
    stream.send_data(b"body", True)
    await settle()
    assert library.heads[1] == POST
    assert library.bodies[1] == b"body"
    library.h2.send_headers(1, [(b":status", b"103"), (b"link", b"x")])
    library.h2.send_headers(1, OK)
    library.h2.send_data(1, b"answer")
    library.h2.send_headers(1, [(b"grpc-status", b"0")], end_stream=True)
    library.flush()
    await settle()
    assert stream.sections == [[(b":status", b"103"), (b"link", b"x")], OK, [(b"grpc-status", b"0")]]
    assert stream.body == b"answer"
    assert stream.ended
    assert ours.streams == {}


async def test_a_large_body_goes_both_ways_within_small_windows():
    body = bytes(range(256)) * 4096
    ours, library = with_library(client=False, answer=echo, initial_stream_window_size=20000, initial_connection_window_size=70000)
    library.h2.send_headers(1, POST)
    library.flush()
    await settle()
    sent = 0
    while sent < len(body):
        size = min(library.h2.local_flow_control_window(1), 16384, len(body) - sent)
        if size:
            library.h2.send_data(1, body[sent : sent + size], end_stream=sent + size == len(body))
            sent += size
        library.flush()
        await settle(5)
    await settle(500)
    assert ours.opened[1].body == body
    assert library.bodies[1] == body
    assert library.ended == {1}


async def test_our_client_and_our_server_understand_each_other():
    mine, yours = pair({"answer": echo})
    streams = [mine.ask(POST, end=False) for _ in range(50)]
    for number, stream in enumerate(streams):
        stream.send_data(b"%d" % number * 1000, True)
    await settle()
    assert [stream.body for stream in streams] == [b"%d" % number * 1000 for number in range(50)]
    assert not mine.streams
    assert not yours.streams
