"""gRPC through the proxy, as it goes through Envoy."""

import asyncio
from typing import Any

import grpc
import pytest

from tests.waiting import eventually

MEGABYTE = 1024 * 1024


async def test_a_unary_call_keeps_its_message_and_all_its_metadata(two: Any) -> None:
    call = two.channel.unary_unary("/test.Echo/Unary")(b"hello", metadata=(("x-ascii", "a b"), ("x-blob-bin", b"\x00\x01\xfe")))
    assert await call == b"hello"
    assert two.calls.metadata["x-ascii"] == "a b"
    assert two.calls.metadata["x-blob-bin"] == b"\x00\x01\xfe"
    initial = dict(await call.initial_metadata())
    assert (initial["x-initial"], initial["x-bytes-bin"]) == ("one", b"\x00\xff")
    assert dict(await call.trailing_metadata())["x-trailing"] == "two"
    assert await call.code() is grpc.StatusCode.OK


async def test_a_server_streams(two: Any) -> None:
    got = [int(one) async for one in two.channel.unary_stream("/test.Echo/Server")(b"500")]
    assert got == list(range(500))


async def test_a_client_streams(two: Any) -> None:
    async def requests() -> Any:
        for number in range(100):
            yield b"%d" % number

    assert await two.channel.stream_unary("/test.Echo/Client")(requests()) == b",".join(b"%d" % number for number in range(100))


async def test_both_talk_in_turns_on_one_stream(two: Any) -> None:
    call = two.channel.stream_stream("/test.Echo/Both")()
    for word in (b"one", b"two", b"three"):
        await call.write(word)
        assert await call.read() == word.upper()
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_large_message_passes_both_ways(two: Any) -> None:
    message = bytes(range(256)) * (3 * MEGABYTE // 256)
    assert await two.channel.unary_unary("/test.Echo/Unary")(message) == message


async def test_two_hundred_calls_run_at_once(one: Any) -> None:
    calls = [one.channel.unary_unary("/test.Echo/Unary")(b"%d" % number) for number in range(200)]
    assert await asyncio.gather(*calls) == [b"%d" % number for number in range(200)]


async def test_an_error_keeps_code_message_and_trailers(two: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await two.channel.unary_unary("/test.Echo/Fail")(b"")
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert raised.value.details() == "nein, das geht nicht: ü % \n"
    assert dict(raised.value.trailing_metadata())["x-why"] == "because"
    logged = await eventually(lambda: one_line(two.log, "Fail"))
    assert logged == "/test.Echo/Fail HTTP/2 200 - FailedPrecondition"


async def test_a_cancelled_call_is_cancelled_at_the_server(two: Any) -> None:
    call = two.channel.unary_unary("/test.Echo/Sleep")(b"")
    async with asyncio.timeout(20):
        await two.calls.started.wait()
        call.cancel()
        await two.calls.cancelled.wait()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_a_deadline_ends_the_call_at_the_server_too(two: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await two.channel.unary_unary("/test.Echo/Sleep")(b"", timeout=0.3)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(20):
        await two.calls.cancelled.wait()


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("/nowhere.Echo/Unary", grpc.StatusCode.UNAVAILABLE),
        ("/elsewhere.Echo/Unary", grpc.StatusCode.UNIMPLEMENTED),
        ("/test.Echo/Absent", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_what_cannot_be_reached_has_the_code_that_says_so(one: Any, method: str, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await one.channel.unary_unary(method)(b"")
    assert raised.value.code() is code


async def test_a_server_that_dies_ends_its_streams_with_an_error(one: Any) -> None:
    call = one.channel.stream_stream("/test.Echo/Both")()
    await call.write(b"one")
    assert await call.read() == b"ONE"
    await one.server.stop(0)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)


async def one_line(log: Any, word: str) -> str:
    lines = [line for line in log.read_text().splitlines() if word in line] if log.exists() else []
    return lines[0] if lines else ""
