"""What a connection speaks, from its first bytes: a real Envoy and we tell TLS, HTTP and the rest apart alike."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from .twins import HOST, Twin, twins

CHAINS = {
    "tls": "{transport_protocol: tls}",
    "h2": "{transport_protocol: tls, application_protocols: [h2, istio]}",
    "h2c": "{transport_protocol: raw_buffer, application_protocols: [h2c]}",
    "http11": "{transport_protocol: raw_buffer, application_protocols: [http/1.1]}",
    "http10": "{transport_protocol: raw_buffer, application_protocols: [http/1.0]}",
    "raw": "{transport_protocol: raw_buffer}",
}
_SILENCE = 0.2  # seconds after which a client says no more, and longer than a busy proxy needs to pass on what it has said
FILTERS = "type.googleapis.com/envoy.extensions.filters"
BOOTSTRAP = (
    f"""
static_resources:
  listeners:
  - name: l
    address: {{socket_address: {{address: 127.0.0.1, port_value: $L}}}}
    listener_filters:
    - {{name: a, typed_config: {{"@type": {FILTERS}.listener.tls_inspector.v3.TlsInspector}}}}
    - {{name: b, typed_config: {{"@type": {FILTERS}.listener.http_inspector.v3.HttpInspector}}}}
    listener_filters_timeout: 0.3s
    continue_on_listener_filters_timeout: true
    filter_chains:"""
    + "".join(
        f"""
    - name: {name}
      filter_chain_match: {match}
      filters:
      - name: t
        typed_config:
          "@type": {FILTERS}.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: up
          access_log:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format: {{text_format_source: {{inline_string: "%FILTER_CHAIN_NAME% %REQUESTED_SERVER_NAME% %BYTES_RECEIVED%\\n"}}}}"""
        for name, match in CHAINS.items()
    )
    + """
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $UP}}}}]}]
"""
)


def hello(name: str | None, *protocols: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("nobody answered")


def records(data: bytes, size: int) -> bytes:
    """A ClientHello cut into many TLS records."""
    body = data[5:]
    return b"".join(data[:3] + len(piece).to_bytes(2, "big") + piece for i in range(0, len(body), size) if (piece := body[i : i + size]))


CASES = {
    "a hello": hello("a.test"),
    "a hello without a name": hello(None),
    "a hello with protocols": hello("A.test", "x", "h2"),
    "a hello with other protocols": hello("a.test", "x"),
    "a hello in small records": records(hello("a.test", "h2"), 20),
    "a hello cut short": hello("a.test")[:100],
    "a record of another kind": b"\x17\x03\x03\x00\x05hello",
    "a hello of no version": b"\x16\x09\x01\x00\x05hello",
    "a handshake that is no hello": b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a request of long ago": b"GET / HTTP/1.0\r\n\r\n",
    "a request without a version": b"GET /\r\n\r\n",
    "a request of a version to come": b"GET / HTTP/3.0\r\n\r\n",
    "a request of version 1.2": b"GET / HTTP/1.2\r\n\r\n",
    "a request's beginning": b"GET /",
    "a method's beginning": b"GE",
    "a method that is rare": b"MKCALENDAR /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method of nobody's": b"FLY / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in small letters": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a request after an empty line": b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a request with line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "a request for a tunnel": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a request with a long path": b"GET /" + b"a" * 7000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a request's first line alone": b"POST /x HTTP/1.1\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the preface's beginning": b"PRI * HTTP/2.0\r\n\r\n",
    "half of the preface": b"PRI * HT",
    "mail": b"EHLO a.test\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9\r\n",
    "an SSH key exchange": b"\x00\x00\x01",
    "a database's hello": b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    "what looks like a method": b"GETAWAY / HTTP/1.1\r\n",
    "a target with a scheme": b"GET http://a/ HTTP/1.1\r\n\r\n",
    "a target with another scheme": b"GET ftp://a/ HTTP/1.1\r\n\r\n",
    "a target with a scheme alone": b"GET http: HTTP/1.1\r\n\r\n",
    "a target without a slash": b"GET a HTTP/1.1\r\n\r\n",
    "a target that is a star": b"OPTIONS * HTTP/1.1\r\n\r\n",
    "a target that is a star and more": b"OPTIONS *a HTTP/1.1\r\n\r\n",
    "a target with a query only": b"GET ?a HTTP/1.1\r\n\r\n",
    "a target that is an authority": b"GET a:80 HTTP/1.1\r\n\r\n",
    "a tunnel without a port": b"CONNECT a HTTP/1.1\r\n\r\n",
    "a tunnel to a path": b"CONNECT /a HTTP/1.1\r\n\r\n",
    "a tunnel to a scheme": b"CONNECT http://a/ HTTP/1.1\r\n\r\n",
    "two blanks": b"GET  / HTTP/1.1\r\n\r\n",
    "two blanks later": b"GET /  HTTP/1.1\r\n\r\n",
    "a blank before": b" GET / HTTP/1.1\r\n\r\n",
    "a blank behind": b"GET / HTTP/1.1 \r\n\r\n",
    "a word too many": b"GET / x HTTP/1.1\r\n\r\n",
    "a tab": b"GET\t/\tHTTP/1.1\r\n\r\n",
    "a colon in the method": b"GE:T / HTTP/1.1\r\n\r\n",
    "a dash in the method": b"A-B_c.9 / HTTP/1.1\r\n\r\n",
    "a letter that is none of ASCII's": "GET /ü HTTP/1.1\r\n\r\n".encode(),
    "a zero in the path": b"GET /\x00 HTTP/1.1\r\n\r\n",
    "a version of another protocol": b"GET / RTSP/1.0\r\n\r\n",
    "a version in small letters": b"GET / http/1.1\r\n\r\n",
    "a version of two digits": b"GET / HTTP/1.10\r\n\r\n",
    "a version of long ago": b"GET / HTTP/0.9\r\n\r\n",
    "an empty version": b"GET / \r\n\r\n",
    "a carriage return within": b"GET /\r HTTP/1.1\r\n\r\n",
    "a mail from": b"MAIL FROM:<a@b.test>\r\n",
    "a fingered user": b"user\r\n",
    "chat": b"NICK a\r\nUSER a 0 * :a\r\n",
    "a cache's question": b"*1\r\n$4\r\nPING\r\n",
    "a cache's inline question": b"get key\r\n",
    "a broker's greeting": b"CONNECT {}\r\n",
    "AMQP": b"AMQP\x00\x00\x09\x01",
    "nothing": b"",
}


async def outcomes(twin: Twin) -> dict[str, str]:
    async def connect(data: bytes, pieces: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, twin.ports["L"])
        for start in range(0, len(data), pieces):
            writer.write(data[start : start + pieces])
            if pieces < len(data):
                await asyncio.sleep(0.001)
        await reader.read(1)
        writer.close()

    for data in CASES.values():
        await connect(data, 10_000)
    cut = {f"{name}, in pieces": data for name, data in CASES.items() if 1 < len(data) < 100}
    for data in cut.values():
        await connect(data, 3)
    names = [*CASES, *cut]
    return dict(zip(names, await twin.logged(len(names)), strict=True))


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up when the client says no more."""
    with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
        while True:
            async with asyncio.timeout(_SILENCE):
                await reader.readexactly(1)
    writer.close()


@pytest.mark.timeout(180)
async def test_the_same_is_made_of_first_bytes(tmp_path: Path) -> None:
    server = await asyncio.start_server(_serve, HOST, 0)
    async with server, twins(tmp_path, BOOTSTRAP, "L", UP=server.sockets[0].getsockname()[1]) as both:
        theirs, ours = await asyncio.gather(outcomes(both.envoy), outcomes(both.ours))
    assert ours == theirs
    assert {line.split()[0] for line in ours.values()} == set(CHAINS)
