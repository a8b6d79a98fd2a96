"""The filter `buffer` in a real Envoy and in ours: what reaches the server, what is refused, what is logged."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.connections.twins import Twins, twins
from tests.interop.differential.upstream import Upstream
from tests.interop.differential.wire import ask

from .compared import logged_of

_LIMIT = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3"


def _route(path: str, per_route: str = "") -> str:
    override = f", typed_per_filter_config: {{hold: {{'@type': {_LIMIT}.BufferPerRoute, {per_route}}}}}" if per_route else ""
    return f"{{match: {{prefix: {path}}}, route: {{cluster: up}}{override}}}"


_BOOTSTRAP = f"""
static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: $WEB}}}}
    filter_chains:
    - filters:
      - name: h
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: p
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format:
                text_format_source:
                  inline_string: "%REQ(X-CASE)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n"
          http_filters:
          - {{name: hold, typed_config: {{"@type": {_LIMIT}.Buffer, max_request_bytes: 10}}}}
          - {{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {_route("/off", "disabled: true")}
              - {_route("/more", "buffer: {max_request_bytes: 3000000}")}
              - {_route("/")}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: $UP}}}}}}}}]}}]
"""


def sized(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def chunked(path: str, *chunks: bytes, trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return f"POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".encode() + body + b"0\r\n" + trailer + b"\r\n"


CASES = {
    "nothing": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "an empty body": sized("/", b""),
    "a body": sized("/", b"0123456789"),
    "a body in chunks": chunked("/", b"01234", b"56789"),
    "no chunk": chunked("/"),
    "chunks and trailers": chunked("/", b"01234", trailer=b"x-t: 1\r\n"),
    "too large": sized("/", b"0123456789a"),
    "too large in chunks": chunked("/", b"01234", b"56789", b"a"),
    "switched off": chunked("/off", b"01234", b"56789", b"a"),
    "a route with more room": chunked("/more", *[b"x" * 1000] * 20),
    "more than a connection holds": sized("/more", b"y" * 2_000_000),
    "too large for a call": b"POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ncontent-length: 11\r\n\r\n0123456789a",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with Upstream() as upstream, twins(tmp_path_factory.mktemp("buffer"), _BOOTSTRAP, "WEB", UP=upstream.port) as both:
        yield both


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_requests_are_held_as_in_envoy(pair: Twins, name: str) -> None:
    case = name.replace(" ", "-")
    request = CASES[name].replace(b"host: a", b"host: a\r\nx-case: " + case.encode(), 1)
    seen = []
    for each in (pair.envoy, pair.ours):
        answer = await ask(each.ports["WEB"], request)
        headers = tuple(pair for pair in answer.headers if pair[0] not in ("date", "x-envoy-upstream-service-time", "connection"))
        seen.append((answer.status, headers, answer.body, answer.ended, await logged_of(each, case)))
    theirs, ours = seen
    assert ours == theirs


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_goes_up_before_the_request_is_whole(pair: Twins) -> None:
    for each in (pair.envoy, pair.ours):
        before = (await each.stats())["cluster.up.upstream_rq_total"]
        reader, writer = await asyncio.open_connection("127.0.0.1", each.ports["WEB"])
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        assert (await each.stats())["cluster.up.upstream_rq_total"] == before
        writer.write(b"cd")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
