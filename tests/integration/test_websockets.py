"""WebSocket as a real library speaks it, client and server, through one proxy and through two."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.chain import OURS, chain

pytestmark = pytest.mark.asyncio(loop_scope="module")

_UPGRADES = [{"upgrade_type": "websocket"}]
_LARGE = 3 * 1024 * 1024  # bytes: more than any buffer on the way


async def _serve(socket: ServerConnection) -> None:
    """Greet at once; echo what comes; close with a code and a reason when asked to."""
    await socket.send("welcome")
    async for message in socket:
        if message == "bye":
            await socket.close(4001, "as asked")
        elif message == "vanish":
            socket.transport.abort()
        else:
            await socket.send(message)


def _refuse(socket: ServerConnection, request: Request) -> Response | None:
    return socket.respond(HTTPStatus.UNAUTHORIZED, "who are you?\n") if request.path == "/private" else None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[int]:
    async with serve(_serve, "127.0.0.1", 0, process_request=_refuse, max_size=2 * _LARGE, subprotocols=["chat"]) as running:
        yield _port(running)


def _port(running: Server) -> int:
    return int(next(iter(running.sockets)).getsockname()[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[1, 2], ids=["one proxy", "two proxies"])
async def through(request: pytest.FixtureRequest, server: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of the server behind that many proxies."""
    async with chain(tmp_path_factory.mktemp("chain"), server, [OURS] * request.param, upgrade_configs=_UPGRADES) as running:
        yield f"ws://127.0.0.1:{running.port}"


def _connect(address: str) -> connect:
    return connect(address, proxy=None, max_size=2 * _LARGE, subprotocols=["chat"])


async def test_a_conversation_goes_both_ways(through: str) -> None:
    async with _connect(through) as socket:
        assert socket.subprotocol == "chat"
        assert await socket.recv() == "welcome"
        for message in ("text", b"\x00\xff", "", "é" * 1000):
            await socket.send(message)
            assert await socket.recv() == message


async def test_large_messages_and_pings_pass(through: str) -> None:
    async with _connect(through) as socket:
        await socket.recv()
        large = bytes(range(256)) * (_LARGE // 256)
        await socket.send(large)
        assert await socket.recv() == large
        await (await socket.ping())


async def test_a_hundred_clients_are_kept_apart(through: str) -> None:
    async def one(number: int) -> None:
        async with _connect(through) as socket:
            await socket.recv()
            await socket.send(f"I am {number}")
            assert await socket.recv() == f"I am {number}"

    await asyncio.gather(*(one(number) for number in range(100)))


async def test_close_codes_pass(through: str) -> None:
    async with _connect(through) as socket:
        await socket.recv()
        await socket.send("bye")
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4001, "as asked")


async def test_a_server_that_vanishes_is_noticed(through: str) -> None:
    async with _connect(through) as socket:
        await socket.recv()
        await socket.send("vanish")
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
        assert socket.close_code == 1006


async def test_the_servers_refusal_reaches_the_client(through: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await _connect(through + "/private")
    assert refused.value.response.status_code == 401
    assert refused.value.response.body == b"who are you?\n"


async def test_a_proxy_that_does_not_pass_upgrades_says_403(server: int, tmp_path: Path) -> None:
    async with chain(tmp_path, server) as running:
        with pytest.raises(InvalidStatus) as refused:
            await _connect(f"ws://127.0.0.1:{running.port}")
        assert refused.value.response.status_code == 403


async def test_a_client_that_leaves_is_noticed_by_the_server(server: int, tmp_path: Path) -> None:
    left = asyncio.Event()

    async def wait(socket: ServerConnection) -> None:
        await socket.wait_closed()
        left.set()

    async with serve(wait, "127.0.0.1", 0, subprotocols=["chat"]) as own, chain(tmp_path, _port(own), upgrade_configs=_UPGRADES) as running:
        socket: ClientConnection = await _connect(f"ws://127.0.0.1:{running.port}")
        socket.transport.abort()
        async with asyncio.timeout(20):
            await left.wait()
