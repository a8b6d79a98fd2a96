"""What requests ask of the TLS to their upstream, of a real Envoy and of ours: the server name and the protocols that are offered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh_proxy.listener.detect import Verdict, client_hello
from tests.interop.connections.twins import Twin, Twins, twins
from tests.interop.differential.wire import ask
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_BOOTSTRAP = (Path(__file__).parent / "filter_state.yaml").read_text()


@dataclass
class Listening:
    """A server that hears what connections begin with, and hangs up."""

    heard: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        while (found := client_hello(data)) is Verdict.NEED_MORE:
            data += await reader.read(4096) or b"\0"
        self.heard.append("plaintext" if isinstance(found, Verdict) else f"{found.server_name} {','.join(found.alpn)}")
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Twins, Listening]]:
    upstream = Listening()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    folder = tmp_path_factory.mktemp("filter-state")
    async with server, twins(folder, _BOOTSTRAP, "ASKING", UP=server.sockets[0].getsockname()[1]) as both:
        yield both, upstream


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/outer", "inner.test own"),
        ("/route", "inner.test one,two"),
        ("/share", "inner.test one,two"),
        ("/both", "inner.test one,two"),
        ("/enabled", "inner.test manager"),
        ("/skipped", "inner.test own"),
        ("/plain", "plaintext"),
    ],
)
async def test_the_levels_of_a_route_ask_one_after_another(site: tuple[Twins, Listening], path: str, expected: str) -> None:
    both, upstream = site

    async def heard(twin: Twin) -> list[str]:
        upstream.heard.clear()
        answer = await ask(twin.ports["ASKING"], b"GET %s HTTP/1.1\r\nHost: any.org\r\n\r\n" % path.encode())
        assert answer.status == 503

        async def what() -> list[str]:
            return list(upstream.heard)

        return await eventually(what)

    assert [(await heard(twin))[0] for twin in (both.envoy, both.ours)] == [expected, expected]
