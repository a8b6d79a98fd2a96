"""The filter `compressor` in a real Envoy and in ours: which answers are compressed, what their heads say, what is counted."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from tests.interop.connections.twins import Twin, Twins, twins

_KIND = "type.googleapis.com/envoy.extensions.filters.http.compressor.v3"
_GZIP = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"
_OLDER = "content_length: 100, content_type: [text/plain], remove_accept_encoding_header: true"
_ETAGS = "response_direction_config: {disable_on_etag_header: true, uncompressible_response_codes: [206]}"
_DISABLED = "response_direction_config: {common_config: {enabled: {default_value: false, runtime_key: none}}}"
LISTENERS = {
    "USUAL": "response_direction_config: {}",
    "OLDER": _OLDER,
    "ETAGS": _ETAGS,
    "DISABLED": _DISABLED,
    "SWITCHED": "runtime_enabled: {default_value: false, runtime_key: none}",
    "PARTICULAR": "response_direction_config: {common_config: {min_content_length: 99, content_type: [text/css, text/Plain]}}",
}


def _route(path: str, per_route: str) -> str:
    return f"{{match: {{prefix: {path}}}, route: {{cluster: up}}, typed_per_filter_config: {{c: {per_route}}}}}"


_OFF = "{'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}"
_HIDE = f"{{'@type': {_KIND}.CompressorPerRoute, overrides: {{response_direction_config: {{remove_accept_encoding_header: true}}}}}}"
_SWITCHED = f"{{'@type': {_KIND}.CompressorPerRoute, disabled: true}}"


def _listener(name: str, config: str) -> str:
    library = f'{{name: lib, typed_config: {{"@type": {_GZIP}, window_bits: 15, compression_level: COMPRESSION_LEVEL_3}}}}'
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name}}}}}
    filter_chains:
    - filters:
      - name: h
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          http_filters:
          - {{name: c, typed_config: {{"@type": {_KIND}.Compressor, compressor_library: {library}, {config}}}}}
          - {{name: r, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {_route("/off", _OFF)}
              - {_route("/switched", _SWITCHED)}
              - {_route("/hide", _HIDE)}
              - {{match: {{prefix: /here}}, direct_response: {{status: 200, body: {{inline_string: "{"here " * 20}"}}}}}}
              - {{match: {{prefix: /}}, route: {{cluster: up}}}}"""


_BOOTSTRAP = f"""
static_resources:
  listeners:{"".join(_listener(name, config) for name, config in LISTENERS.items())}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: $UP}}}}}}}}]}}]
"""

TEXT = b"content-type: text/plain"
_LONG = b"some text that is worth while " * 10


@dataclass(frozen=True)
class Case:
    """What a client takes, and what the server answers."""

    accepts: str | None = "gzip"
    headers: tuple[bytes, ...] = (TEXT,)
    body: bytes = _LONG
    path: str = "/"
    method: str = "GET"
    chunked: bool = False
    status: bytes = b"200 OK"


CASES = {
    "text": Case(),
    "text in chunks": Case(chunked=True),
    "short text": Case(body=b"x" * 29),
    "text just long enough": Case(body=b"x" * 30),
    "text under a hundred": Case(body=b"x" * 99),
    "short text in chunks": Case(body=b"short", chunked=True),
    "nothing said of the type": Case(headers=()),
    "a picture": Case(headers=(b"content-type: image/png",)),
    "a type with a parameter": Case(headers=(b"content-type: text/html; charset=utf-8",)),
    "a type in capitals": Case(headers=(b"content-type: TEXT/HTML",)),
    **{f"{kind}": Case(headers=(b"content-type: " + kind.encode(),)) for kind in (
        "application/javascript", "application/json", "application/xhtml+xml", "image/svg+xml", "text/css", "text/xml", "application/xml",
        "text/javascript", "text/x-javascript", "text/ecmascript", "text/js", "text/jscript", "text/x-js", "application/x-javascript",
        "application/ecmascript", "application/x-json", "application/grpc", "application/wasm", "application/ld+json", "text/markdown",
    )},
    "nothing accepted": Case(accepts=None),
    "an empty list": Case(accepts=""),
    "other encodings": Case(accepts="br, deflate"),
    "gzip among others": Case(accepts="br, gzip;q=0.5, deflate"),
    "gzip of no weight": Case(accepts="gzip;q=0"),
    "gzip of a strange weight": Case(accepts="gzip;q=high"),
    "anything": Case(accepts="*"),
    "anything of no weight": Case(accepts="*;q=0, gzip"),
    "rather as it is": Case(accepts="gzip;q=0.5, identity"),
    "as it is or compressed": Case(accepts="identity, gzip"),
    "gzip in capitals": Case(accepts="GZIP"),
    "an answer with a strong tag": Case(headers=(TEXT, b'etag: "1"')),
    "an answer with a weak tag": Case(headers=(TEXT, b'etag: W/"1"')),
    "compressed already": Case(headers=(TEXT, b"content-encoding: br")),
    "not to be transformed": Case(headers=(TEXT, b"cache-control: max-age=1, No-Transform")),
    "to be cached": Case(headers=(TEXT, b"cache-control: public")),
    "varying": Case(headers=(TEXT, b"vary: Cookie")),
    "varying by encoding": Case(headers=(TEXT, b"vary: accept-encoding")),
    "varying in all": Case(headers=(TEXT, b"vary: *")),
    "varying for who takes nothing": Case(accepts=None, headers=(TEXT, b"vary: Cookie")),
    "an error": Case(status=b"500 X"),
    "a part": Case(status=b"206 X"),
    "a HEAD": Case(method="HEAD"),
    "switched off by a route": Case(path="/off"),
    "switched off by its own word": Case(path="/switched"),
    "hidden from the server": Case(path="/hide"),
    "made here": Case(path="/here"),
}  # fmt: skip


class Server:
    """Answers as the case says that is named in the path."""

    def __init__(self) -> None:
        self.told: list[str] = []
        """Whether each request told what its client takes."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            case = CASES[re.search(r"x-case: (.*)\r\n", head)[1]]  # type: ignore[index]
            self.told.append("accept-encoding" in head.lower())  # type: ignore[arg-type]
            lines = [b"HTTP/1.1 " + case.status, *case.headers, b"connection: close"]
            lines.append(b"transfer-encoding: chunked" if case.chunked else b"content-length: %d" % len(case.body))
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(case.body), case.body) if case.chunked else case.body
            writer.write(b"\r\n".join([*lines, b"", b""]) + (b"" if head.startswith("HEAD") else body))
            writer.close()
            return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Twins, Server]]:
    origin = Server()
    server = await asyncio.start_server(origin, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    async with server, twins(tmp_path_factory.mktemp("gzip"), _BOOTSTRAP, *LISTENERS, UP=port) as both:
        yield both, origin


async def fetch(twin: Twin, listener: str, name: str) -> tuple[object, ...]:
    """Status, headers in order of their names, and the body as it is read."""
    case = CASES[name]
    accepts = "" if case.accepts is None else f"accept-encoding: {case.accepts}\r\n"
    reader, writer = await asyncio.open_connection(HOST, twin.ports[listener])
    writer.write(f"{case.method} {case.path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-case: {name}\r\n{accepts}\r\n".encode())
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.decode().split("\r\n")
    headers = sorted(line for line in lines if not line.lower().startswith(("date", "x-envoy-upstream", "connection")))
    if "transfer-encoding: chunked" in headers:
        body = b"".join(piece.partition(b"\r\n")[2] for piece in _chunks(body))
    return status, headers, gzip.decompress(body) if "content-encoding: gzip" in headers and body else body


def _chunks(body: bytes) -> list[bytes]:
    found = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        number = int(size, 16)
        found.append(size + b"\r\n" + rest[:number])
        body = rest[number + 2 :]
    return found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("listener", LISTENERS)
async def test_answers_are_compressed_and_counted_as_in_envoy(site: tuple[Twins, Server], listener: str) -> None:
    both, origin = site
    differing = {}
    told = []
    for twin in (both.envoy, both.ours):
        origin.told.clear()
        differing[twin.name] = {name: await fetch(twin, listener, name) for name in CASES}
        told.append(list(origin.told))
    theirs, ours = differing["envoy"], differing["ours"]
    assert {name: (ours[name], theirs[name]) for name in CASES if ours[name] != theirs[name]} == {}
    assert told[0] == told[1]
    counted = [await _counted(twin, listener) for twin in (both.envoy, both.ours)]
    sizes = [counts.pop(name, 0) for counts in counted for name in list(counts) if name.endswith("total_compressed_bytes")]
    assert counted[1] == counted[0]
    assert not sizes or abs(sizes[0] - sizes[1]) < 0.1 * sizes[0], "zlibs differ a little"


async def _counted(twin: Twin, listener: str) -> dict[str, int]:
    return {name: value for name, value in (await twin.stats()).items() if value and name.startswith(f"http.{listener}.compressor.")}
