"""A listener's access log has a line for each of its connections, in a real Envoy as in ours."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from tests.certificates import Authority

from .twins import Twin, Twins, twins

pytestmark = pytest.mark.asyncio(loop_scope="module")

_TLS = """
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: $CHAIN}, private_key: {inline_string: $KEY}}]}
"""
_HTTP = """
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}]}
"""


def _tcp(cluster: str) -> str:
    kind = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    return f"""
      filters:
      - {{name: tcp, typed_config: {{"@type": {kind}, stat_prefix: tcp, cluster: {cluster}}}}}
"""


_FACTS = (
    "rx=%BYTES_RECEIVED% code=%RESPONSE_CODE% flags=%RESPONSE_FLAGS% host=%UPSTREAM_HOST% cluster=%UPSTREAM_CLUSTER% "
    "chain=%FILTER_CHAIN_NAME% tls=%DOWNSTREAM_TLS_VERSION%"
)


def _listener(name: str, filters: str, *, filter: str = "") -> str:
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name}}}}}
    access_log:
    - name: file
      {filter}
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
        path: $LOG
        log_format: {{text_format_source: {{inline_string: "{name} {_FACTS}\\n"}}}}
    filter_chains:
    - name: chain
{filters}"""


_BOOTSTRAP = f"""
static_resources:
  listeners:
{_listener("HTTP", _HTTP)}
{_listener("TLS", _HTTP + _TLS)}
{_listener("TCP", _tcp("up"))}
{_listener("DOWN", _tcp("dead"))}
{_listener("NOBODY", "      filter_chain_match: {destination_port: 1}" + _tcp("up"))}
{_listener("ONLYNR", _HTTP, filter="filter: {response_flag_filter: {flags: [NR]}}")}
{_listener("FAILED", _tcp("dead"), filter="filter: {response_flag_filter: {}}")}
{_listener("FINE", _tcp("up"), filter="filter: {response_flag_filter: {}}")}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: $UP}}}}}}}}]}}]
  - name: dead
    type: STATIC
    load_assignment:
      cluster_name: dead
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: $DEAD}}}}}}}}]}}]
"""

GET = b"GET / HTTP/1.1\r\nHost: any.org\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await reader.read()
        writer.close()

    pair = Authority().pair("any.org")
    known = {"CHAIN": json.dumps(pair.chain.decode()), "KEY": json.dumps(pair.key.decode())}
    names = ("HTTP", "TLS", "TCP", "DOWN", "NOBODY", "ONLYNR", "FAILED", "FINE")
    server = await asyncio.start_server(answer, HOST, 0)
    up, dead = server.sockets[0].getsockname()[1], FreePorts().take()
    async with server, twins(tmp_path_factory.mktemp("logs"), _BOOTSTRAP, *names, UP=up, DEAD=dead, **known) as started:
        yield started


async def talk(port: int, said: bytes, *, answers: bool = True, tls: ssl.SSLContext | None = None) -> None:
    """Say something, wait for an answer or the end, and hang up."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=tls)
    writer.write(said)
    try:
        async with asyncio.timeout(20):
            await reader.read(1000)
            if not answers:
                await reader.read()
    except ConnectionError:
        pass
    writer.close()


async def spoken(twin: Twin) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    ports = twin.ports
    await talk(ports["HTTP"], GET)
    await talk(ports["TLS"], GET, tls=context)
    await talk(ports["TCP"], b"abc")
    for name in ("DOWN", "NOBODY", "FAILED"):
        await talk(ports[name], b"abc", answers=False)
    await talk(ports["ONLYNR"], GET)
    await talk(ports["FINE"], b"abc")
    await talk(ports["HTTP"], GET + b"more")


async def test_the_lines_are_envoys(both: Twins) -> None:
    lines = []
    for twin in (both.envoy, both.ours):
        await spoken(twin)
        lines.append(sorted(await twin.logged(7)))
    theirs, ours = lines
    assert ours == theirs
    assert [line.split()[0] for line in ours] == ["DOWN", "FAILED", "HTTP", "HTTP", "NOBODY", "TCP", "TLS"]
