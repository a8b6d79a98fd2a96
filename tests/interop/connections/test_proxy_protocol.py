"""PROXY headers, sound and broken, before a listener of a real Envoy and of ours: who is believed to be the client, and who is refused."""

import asyncio
import ipaddress
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .twins import HOST, Twin, Twins, twins

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = bytes((1, 2, 3, 4, 5, 6, 7, 8)) + struct.pack("!HH", 1111, 2222)
V6 = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("2001:db8::2").packed + struct.pack("!HH", 1111, 2222)

BOOTSTRAP = """
static_resources:
  listeners:
  - name: needed
    address: {socket_address: {address: 127.0.0.1, port_value: $NEEDED}}
    listener_filters_timeout: 0.3s
    listener_filters:
    - {name: pp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}
    filter_chains: &tcp
    - filters:
      - name: t
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: up
          access_log:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format: &format
                text_format_source:
                  inline_string: "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS% %BYTES_RECEIVED% %RESPONSE_FLAGS%\\n"
  - name: optional
    address: {socket_address: {address: 127.0.0.1, port_value: $OPTIONAL}}
    listener_filters_timeout: 0.3s
    listener_filters:
    - name: pp
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
        allow_requests_without_proxy_protocol: true
        disallowed_versions: [V1]
    filter_chains: *tcp
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: $WEB}}
    listener_filters_timeout: 0.3s
    listener_filters:
    - name: pp
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
        pass_through_tlvs: {match_type: INCLUDE, tlv_type: [5]}
    - {name: http, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}}
    filter_chains:
    - filter_chain_match: {application_protocols: [http/1.1], direct_source_prefix_ranges: [{address_prefix: 127.0.0.0, prefix_len: 8}]}
      filters:
      - name: h
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          use_remote_address: true
          http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          access_log:
          - name: f
            typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: $LOG, log_format: *format}
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: told}}]}]}
  - name: onwards
    address: {socket_address: {address: 127.0.0.1, port_value: $ONWARDS}}
    listener_filters_timeout: 0.3s
    listener_filters:
    - name: pp
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
        pass_through_tlvs: {match_type: INCLUDE_ALL}
    filter_chains:
    - filter_chain_match: {source_prefix_ranges: [{address_prefix: 1.0.0.0, prefix_len: 8}]}
      filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: told}}]
    - filter_chain_match: {source_prefix_ranges: [{address_prefix: "2001::", prefix_len: 16}]}
      filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: told1}}]
  clusters:
  - name: up
    type: STATIC
    load_assignment: &up
      cluster_name: up
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $UP}}}}]}]
  - name: told
    type: STATIC
    load_assignment: *up
    transport_socket:
      name: pp
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport
        config: {version: V2, pass_through_tlvs: {match_type: INCLUDE_ALL}}
        transport_socket: &raw {name: raw, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}
  - name: told1
    type: STATIC
    load_assignment: *up
    transport_socket:
      name: pp
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport
        config: {version: V1}
        transport_socket: *raw
"""  # noqa: E501


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + struct.pack("!H", len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


ALIKE = {
    "version 1, IPv4": b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n",
    "version 1, IPv6": b"PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n",
    "version 1, IPv4 in IPv6": b"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1 2\r\n",
    "unknown": b"PROXY UNKNOWN\r\n",
    "unknown and more": b"PROXY UNKNOWN a b c d e f\r\n",
    "unknown and as much as there may be": b"PROXY UNKNOWN " + b"a" * 91 + b"\r\n",
    "unknown and too much": b"PROXY UNKNOWN " + b"a" * 100 + b"\r\n",
    "a line feed alone": b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\n",
    "IPv6 said to be IPv4": b"PROXY TCP4 ::1 ::2 1 2\r\n",
    "a port too high": b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
    "a port below zero": b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
    "a port with a letter": b"PROXY TCP4 1.2.3.4 5.6.7.8 1x 2\r\n",
    "port zero": b"PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n",
    "an octet too high": b"PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n",
    "an octet with a zero before it": b"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
    "a field too many": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
    "a field too few": b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    "two blanks": b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
    "a tab": b"PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "small letters": b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "a family that does not exist": b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
    "datagrams in version 1": b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "more than unknown": b"PROXY UNKNOWNX\r\n",
    "nothing but the name": b"PROXY\r\n",
    "version 2, IPv4": v2(0x21, 0x11, V4),
    "version 2, IPv6": v2(0x21, 0x21, V6),
    "local": v2(0x20, 0, b""),
    "local with addresses": v2(0x20, 0x11, V4),
    "local of an odd family": v2(0x20, 0x41, b""),
    "no family": v2(0x21, 0, b""),
    "no family, with a TLV": v2(0x21, 0, tlv(4, b"x")),
    "Unix sockets": v2(0x21, 0x31, b"x" * 216),
    "an odd family": v2(0x21, 0x41, V4),
    "a TLV": v2(0x21, 0x11, V4 + tlv(1, b"h2")),
    "as many TLVs as there may be": v2(0x21, 0x11, V4 + tlv(4, b"x" * (65535 - 15))),
    "a TLV longer than the header": v2(0x21, 0x11, V4 + b"\x01\x00\x09h2"),
    "half of a TLV": v2(0x21, 0x11, V4 + b"\x01"),
    "half of an address": v2(0x21, 0x11, V4[:8]),
    "IPv4 said to be IPv6": v2(0x21, 0x21, V4),
    "version 1 in version 2's clothes": v2(0x11, 0x11, V4),
    "a command that does not exist": v2(0x22, 0x11, V4),
    "no header": b"GET / HTTP/1.1\r\n\r\n",
    "nothing": b"",
    "the name's beginning": b"PR",
    "the signature's beginning": SIGNATURE[:8],
}
"""Envoy and we agree on these."""

STRICTER = {
    "a port with a sign": b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
    "a port with a zero before it": b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
    "a blank at the end": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
    "an address with a scope": b"PROXY TCP6 fe80::1%lo ::2 1 2\r\n",
    "a line of 108": b"PROXY UNKNOWN " + b"a" * 92 + b"\r\n",
    "datagrams in version 2": v2(0x21, 0x12, V4),
}
"""Envoy takes these, the specification does not, and neither do we."""


@asynccontextmanager
async def upstream() -> AsyncIterator[int]:
    """Answers with what it got, up to the word `hello` or the end of a head with `x-end`, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = b""
        while not (got.endswith(b"hello") or (b"x-end" in got and got.endswith(b"\r\n\r\n"))) and (more := await reader.read(100_000)):
            got += more
        body = b"up:" + got[-40:] if b"x-end" not in got else b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(got) + got
        writer.write(got + b"|" + body if got.startswith((b"PROXY", SIGNATURE)) and b"x-end" not in got else body)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Twins]:
    async with upstream() as port, twins(folder, BOOTSTRAP, "NEEDED", "OPTIONAL", "WEB", "ONWARDS", UP=port) as both:
        yield both


async def answer(port: int, data: bytes, *, pieces: int = 0) -> bytes | str:
    """What comes back, or `reset`, or `silence`."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        for start in range(0, len(data), pieces or len(data)):
            writer.write(data[start : start + (pieces or len(data))])
            await writer.drain()
            if pieces:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(30):
            return await reader.read()
    except TimeoutError:
        return "silence"
    except ConnectionError:
        return "reset"
    finally:
        writer.close()


def without_ports(lines: list[str]) -> list[str]:
    """The ports that the two do not have in common left out."""
    return [re.sub(rf"({HOST}):\d+", r"\1", line) for line in lines]


async def all_answers(twin: Twin, listener: str, cases: dict[str, bytes]) -> tuple[dict[str, bytes | str], list[str]]:
    answers = {name: await answer(twin.ports[listener], data + b"hello") for name, data in cases.items()}
    good = sum(value != "reset" for value in answers.values())
    return answers, without_ports(await twin.logged(good))


@pytest.mark.parametrize("listener", ["NEEDED", "OPTIONAL"])
async def test_the_same_headers_are_believed_and_refused(tmp_path: Path, listener: str) -> None:
    async with running(tmp_path) as both:
        theirs, ours = [await all_answers(twin, listener, ALIKE) for twin in (both.envoy, both.ours)]
        assert theirs == ours
        assert "1.2.3.4:1111 127.0.0.1 5.6.7.8:2222 5 -" in ours[1]
        if listener == "NEEDED":
            for name, data in STRICTER.items():
                assert await answer(both.envoy.ports[listener], data + b"hello") == b"up:hello", name
                assert await answer(both.ours.ports[listener], data + b"hello") == "reset", name


async def test_a_header_may_come_in_pieces_and_is_told_on(tmp_path: Path) -> None:
    four = v2(0x21, 0x11, V4 + tlv(1, b"h2") + tlv(5, b"id"))
    six = b"PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n"
    async with running(tmp_path) as both:
        for header, told in ((four, four), (six, six)):
            heard = [await answer(twin.ports["ONWARDS"], header + b"hello", pieces=3) for twin in (both.envoy, both.ours)]
            assert heard == [told + b"hello|up:" + (told + b"hello")[-40:]] * 2


async def test_requests_know_the_client_that_the_header_named(tmp_path: Path) -> None:
    header = v2(0x21, 0x11, V4 + tlv(1, b"h2") + tlv(5, b"id"))
    request = b"GET / HTTP/1.1\r\nHost: a\r\nx-end: 1\r\n\r\n"
    async with running(tmp_path) as both:
        for twin in (both.envoy, both.ours):
            reader, writer = await asyncio.open_connection(HOST, twin.ports["WEB"])
            for _ in range(2):
                writer.write((header if _ == 0 else b"") + request)
                head = await reader.readuntil(b"\r\n\r\n")
                heard = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]
                assert heard.startswith(v2(0x21, 0x11, V4 + tlv(5, b"id")) + b"GET / HTTP/1.1\r\n"), twin.name
                assert b"x-forwarded-for: 1.2.3.4\r\n" in heard
                assert b"x-envoy-external-address: 1.2.3.4\r\n" in heard
            writer.close()
            assert without_ports(await twin.logged(2)) == ["1.2.3.4:1111 127.0.0.1 5.6.7.8:2222 0 -"] * 2
