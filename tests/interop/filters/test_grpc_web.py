"""gRPC-Web through a real Envoy and through ours to a real gRPC server: what browsers get, frame by frame."""

import asyncio
import base64
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from tests.interop.connections.twins import Twin, Twins, twins
from tests.interop.differential.upstream import Upstream
from tests.interop.differential.wire import Answer, ask
from tests.waiting import eventually

from .compared import counted, logged

_H2 = """
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}"""


def _cluster(name: str, port: str, more: str = "") -> str:
    address = f"{{socket_address: {{address: 127.0.0.1, port_value: ${port}}}}}"
    return f"""
  - name: {name}
    type: STATIC{more}
    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]}}"""


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
          - {{name: web, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb}}}}
          - name: stats
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig, emit_filter_state: true}}
          - {{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{match: {{prefix: /plain}}, route: {{cluster: plain}}}}
              - {{match: {{prefix: /dead}}, route: {{cluster: dead}}}}
              - match: {{prefix: /here}}
                direct_response: {{status: 403, body: {{inline_string: "no, 100% not é"}}}}
              - {{match: {{prefix: /}}, route: {{cluster: calls, timeout: 2s}}}}
  clusters:{_cluster("calls", "CALLS", _H2)}{_cluster("plain", "PLAIN")}{_cluster("dead", "DEAD")}
"""


def frame(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


class Calls(grpc.GenericRpcHandler):
    """`/s/Echo` sends everything back, twice and with trailers; `/s/Fail` only fails, `/s/Half` does after a message."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(getattr(self, details.method.removeprefix("/s/").lower()))

    async def echo(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        context.set_trailing_metadata((("x-more", "a"), ("x-more", "b"), ("x-bin", b"\x01\x02")))
        await context.send_initial_metadata((("x-first", "yes"),))
        async for message in requests:
            yield message
            yield message * 2

    async def fail(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        await context.abort(grpc.StatusCode.NOT_FOUND, "nowhere, 100% sure")
        yield b""

    async def half(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        yield b"half"
        await context.abort(grpc.StatusCode.ABORTED, "no more")


_KINDS = {"web": "application/grpc-web", "proto": "application/grpc-web+proto", "text": "application/grpc-web-text"}
_MESSAGES = (b"hi", b"", b"x" * 70000)
_TEXT = "application/grpc-web-text"
_TEXT_PROTO = "application/grpc-web-text+proto"


def call(path: str, body: bytes = b"", kind: str = "application/grpc-web+proto", *more: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "host: a", f"content-type: {kind}", f"content-length: {len(body)}", *more]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def chunked(path: str, *chunks: bytes, kind: str = _TEXT) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\naccept: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


HI = frame(b"hi")
CASES = {
    "one message": call("/s/Echo", HI),
    "without proto": call("/s/Echo", HI, "application/grpc-web"),
    "several messages": call("/s/Echo", b"".join(map(frame, _MESSAGES))),
    "no message": call("/s/Echo"),
    "no content type of gRPC-Web": call("/s/Echo", HI, "application/grpc-web+json"),
    "plain gRPC": call("/s/Echo", HI, "application/grpc", "te: trailers"),
    "text": call("/s/Echo", base64.b64encode(HI), _TEXT, f"accept: {_TEXT}"),
    "text with proto": call("/s/Echo", base64.b64encode(HI), _TEXT_PROTO, f"accept: {_TEXT_PROTO}"),
    "text asked with an answer in bytes": call("/s/Echo", base64.b64encode(HI), _TEXT),
    "bytes asked with an answer in text": call("/s/Echo", HI, "application/grpc-web", f"accept: {_TEXT}"),
    "text of several messages": call("/s/Echo", base64.b64encode(b"".join(map(frame, _MESSAGES))), _TEXT, f"accept: {_TEXT}"),
    "text in pieces": chunked("/s/Echo", base64.b64encode(HI)[:3], base64.b64encode(HI)[3:5], base64.b64encode(HI)[5:]),
    "text that is cut": call("/s/Echo", base64.b64encode(HI)[:-1], _TEXT),
    "text that is cut, in pieces": chunked("/s/Echo", base64.b64encode(HI)[:-1]),
    "text that is none": call("/s/Echo", b"****", _TEXT),
    "nothing but a failure": call("/s/Fail", HI),
    "nothing but a failure, in text": call("/s/Fail", base64.b64encode(HI), _TEXT, f"accept: {_TEXT}"),
    "a failure after a message": call("/s/Half", HI),
    "a failure after a message, in text": call("/s/Half", base64.b64encode(HI), _TEXT, f"accept: {_TEXT}"),
    "an unknown method": call("/s/", HI),
    "an answer from configuration": call("/here", HI),
    "an answer from configuration, in text": call("/here", base64.b64encode(HI), _TEXT, f"accept: {_TEXT}"),
    "nobody there": call("/dead", HI),
    "an answer that is no gRPC's": call("/plain", HI),
    "another that is no gRPC's": call("/plain/status/503", HI),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Calls(),))
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    async with Upstream() as upstream:
        ports = {"CALLS": port, "PLAIN": upstream.port, "DEAD": FreePorts().take()}
        async with twins(tmp_path_factory.mktemp("web"), _BOOTSTRAP, "WEB", **ports) as both:
            yield both
    await server.stop(None)


def told(answer: Answer) -> tuple[object, ...]:
    """An answer without times and without the transport's own words. That the connection is of no more use is told by Envoy of requests
    that have come whole, too, if the answer was ready before their end."""
    headers = []
    for name, value in answer.headers:
        if name not in ("date", "x-envoy-upstream-service-time", "connection"):
            headers.append((name, value.partition("transport")[0] if name == "grpc-message" else value))
    return answer.status, tuple(headers), answer.body, answer.ended


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_browsers_get_what_envoy_gives_them(pair: Twins, name: str) -> None:
    request = CASES[name].replace(b"host: a", b"host: a\r\nx-case: " + name.replace(" ", "-").encode(), 1)
    theirs, ours = await asyncio.gather(*(ask(each.ports["WEB"], request) for each in (pair.envoy, pair.ours)))
    assert told(ours) == told(theirs)


@pytest.mark.asyncio(loop_scope="module")
async def test_calls_are_counted_and_logged_as_in_envoy(pair: Twins) -> None:
    told_of = []
    for each in (pair.envoy, pair.ours):
        for case in ("one message", "text in pieces", "nothing but a failure", "text that is none"):
            await ask(each.ports["WEB"], CASES[case].replace(b"host: a", b"host: a\r\nx-case: counted", 1))


        async def lines(each: Twin = each) -> list[str]:
            return sorted(line for line in await logged(each) if line.startswith("counted"))

        told_of.append(await eventually(lines, lambda found: len(found) == 4))
    assert told_of[0] == told_of[1]
    theirs, ours = [await counted(each, r"cluster\.calls\.grpc\.") for each in (pair.envoy, pair.ours)]
    assert ours == theirs
