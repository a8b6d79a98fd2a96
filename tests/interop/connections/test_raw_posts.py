"""`allow_post`: a POST that becomes a TCP connection, through a real Envoy and through ours."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from tests.interop.differential.wire import ask

from .ends import POSTS_END
from .twins import Twins, twins

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tells everything that it has heard when that has ended."""
        writer.write(b"<" + await reader.read() + b">")
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    async with server, twins(tmp_path_factory.mktemp("posts"), POSTS_END, "WEB", UP=server.sockets[0].getsockname()[1]) as started:
        yield started


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"Content-Length: 0\r\n\r\n"]
)
async def test_the_answer_is_envoys(both: Twins, body: bytes) -> None:
    answers = []
    for twin in (both.envoy, both.ours):
        answer = await ask(twin.ports["WEB"], b"POST /x HTTP/1.1\r\nHost: any.org\r\n" + body)
        answers.append((answer.status, [name for name, _ in answer.headers], answer.body, answer.ended))
    assert answers[1] == answers[0]
    assert answers[1][0] == 200
