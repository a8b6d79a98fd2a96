"""auto_config: a real Envoy and our proxy in front of TLS upstreams that choose the version of HTTP by ALPN."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import pytest_asyncio

from tests.certificates import Authority
from tests.interop.connections.twins import Twin, Twins, twins
from tests.interop.differential.wire import ask
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SLOW = 0.2
"""Seconds that an answer takes, so that requests meet."""

_BOTH, _OLD, _NONE, _NEW = ("h2", "http/1.1"), ("http/1.1",), (), ("h2",)


class Negotiator:
    """A TLS server that answers each request with the version that its connection has agreed on."""

    def __init__(self, folder: Path) -> None:
        pair = Authority().pair("any.org")
        path = folder / "server.pem"
        path.write_bytes(pair.chain + pair.key)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(path)
        self.open: set[asyncio.Transport] = set()
        self.seen: list[str] = []
        """What the connections since `offer` have agreed on."""

    def offer(self, *protocols: str) -> None:
        """Speak these from now on, on connections to come; those that stand are closed."""
        self.context.set_alpn_protocols(protocols)
        for transport in list(self.open):
            transport.abort()
        self.seen = []


class _Connection(asyncio.Protocol):
    def __init__(self, server: Negotiator) -> None:
        self._server = server
        self._h2: h2.connection.H2Connection | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.open.add(transport)
        agreed = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        self._server.seen.append(str(agreed))
        if agreed == "h2":
            self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            self._h2.initiate_connection()
            transport.write(self._h2.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        later = asyncio.get_running_loop().call_later
        if self._h2 is None:
            self._read += data
            while b"\r\n\r\n" in self._read:
                self._read = self._read.partition(b"\r\n\r\n")[2]
                later(_SLOW, self._transport.write, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nHTTP/1")
            return
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                later(_SLOW, self._answer, self._h2, event.stream_id)
        self._transport.write(self._h2.data_to_send())

    def _answer(self, connection: h2.connection.H2Connection, stream_id: int) -> None:
        connection.send_headers(stream_id, [(":status", "200"), ("content-length", "6")])
        connection.send_data(stream_id, b"HTTP/2", end_stream=True)
        self._transport.write(connection.data_to_send())


_BOOTSTRAP = """
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: $WEB}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: up, timeout: 5s}}]}
  clusters:
  - name: up
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        auto_config: {http_protocol_options: {}, http2_protocol_options: {}}
    transport_socket:
      name: tls
      typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: any.org}
    load_assignment:
      cluster_name: up
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $UP}}}}]}]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Twins, Negotiator]]:
    folder = tmp_path_factory.mktemp("negotiated")
    upstream = Negotiator(folder)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(upstream), "127.0.0.1", 0, ssl=upstream.context)
    async with server, twins(folder, _BOOTSTRAP, "WEB", UP=server.sockets[0].getsockname()[1]) as both:
        yield both, upstream
        upstream.offer()


async def asked(twin: Twin, many: int) -> list[str]:
    """The bodies of answers to so many requests at once."""
    answers = await asyncio.gather(*(ask(twin.ports["WEB"], b"GET / HTTP/1.1\r\nHost: any.org\r\n\r\n") for _ in range(many)))
    assert [answer.status for answer in answers] == [200] * many
    return [answer.body for answer in answers]


@pytest.mark.parametrize("offered", [_BOTH, _OLD, _NONE, _NEW], ids=["both", "old", "none", "new"])
async def test_the_version_is_the_servers_choice(site: tuple[Twins, Negotiator], offered: tuple[str, ...]) -> None:
    both, upstream = site
    spoken: dict[str, object] = {}
    for twin in (both.envoy, both.ours):
        upstream.offer(*offered)
        await eventually(twin.stats, lambda stats: stats["cluster.up.upstream_cx_active"] == 0)
        spoken[twin.name] = (await asked(twin, 3), sorted(upstream.seen))
    assert spoken["ours"] == spoken["envoy"]
