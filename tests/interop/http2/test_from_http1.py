"""HTTP/1 clients of an HTTP/2 upstream: through our proxy as through a real Envoy."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.differential.differences import comparable
from tests.interop.differential.wire import ask

from .proxies import Proxy, both

pytestmark = pytest.mark.asyncio(loop_scope="module")


def request(line: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: any.org", *headers, "", body]).encode()


_CHUNKED = "Transfer-Encoding: chunked"
_CHUNKS = "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
REQUESTS = {
    "GET": request("GET /some?a=b", "X-Mixed: Case"),
    "HEAD": request("HEAD /some"),
    "POST with a length": request("POST /some", "Content-Length: 5", body="hello"),
    "POST without a body": request("POST /some", "Content-Length: 0"),
    "POST in chunks": request("POST /some", _CHUNKED, body=_CHUNKS),
    "trailers up": request("POST /some", _CHUNKED, "TE: trailers", body=_CHUNKS[:-2] + "x-check: 1\r\n\r\n"),
    "trailers down": request("GET /trailers", "TE: trailers"),
    "trailers down without a body": request("GET /bare-trailers", "TE: trailers"),
    "a large answer": request("GET /big"),
    "204": request("GET /status/204"),
    "304 with a length": request("GET /unmodified"),
    "404": request("GET /status/404"),
    "two cookies set": request("GET /cookies"),
    "two cookie headers": request("GET /some", "Cookie: a=1", "Cookie: b=2"),
    "hints": request("GET /hints"),
    "an expectation": request("POST /some", "Expect: 100-continue", "Content-Length: 2", body="hi"),
    "hop-by-hop headers": request("GET /some", "Connection: x-hop, keep-alive", "x-hop: 1", "Keep-Alive: timeout=1"),
    "an absolute target": request("GET http://other.org/some"),
    "an upgrade to h2c": request("GET /some", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "a websocket that is not enabled": request("GET /ws", "Connection: Upgrade", "Upgrade: websocket"),
    "an upstream that resets": request("GET /reset"),
    "an upstream that refuses the stream": request("GET /refuse"),
    "an upstream that resets within the answer": request("GET /cut"),
    "an upstream that hangs up": request("GET /hang-up"),
    "an upstream's malformed head": request("GET /malformed"),
    "an answer before the request's end": request("POST /early", "Content-Length: 5", body="he"),
    "the route's timeout": request("GET /slow"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxies(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Proxy, Proxy]]:
    async with both(tmp_path_factory.mktemp("from-http1")) as started:
        yield started


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
async def test_the_answer_is_envoys(proxies: tuple[Proxy, Proxy], asked: bytes) -> None:
    theirs, ours = comparable(*[await ask(proxy.ports["auto2"], asked) for proxy in proxies])
    assert ours == theirs
