"""One port for plaintext and TLS (Istio's PERMISSIVE), and one that passes TLS on unopened by its server name: a real Envoy and us."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority

from .twins import HOST, Twin, Twins, twins

FILTERS = "type.googleapis.com/envoy.extensions.filters"
INSPECTOR = f'- {{name: a, typed_config: {{"@type": {FILTERS}.listener.tls_inspector.v3.TlsInspector}}}}'


def manager(name: str) -> str:
    return f"""
      filters:
      - name: h
        typed_config:
          "@type": {FILTERS}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          route_config:
            virtual_hosts:
            - name: v
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: {name}}}}}}}]
          http_filters:
          - {{name: r, typed_config: {{"@type": {FILTERS}.http.router.v3.Router}}}}"""


def tcp(cluster: str) -> str:
    return f"""
      filters:
      - name: t
        typed_config: {{"@type": {FILTERS}.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: {cluster}}}"""


def tls(*, client: bool) -> str:
    validation = "validation_context: {trusted_ca: {filename: $FOLDER/root.pem}}" if client else ""
    return f"""
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: {str(client).lower()}
          common_tls_context:
            alpn_protocols: [http/1.1]
            tls_certificates: [{{certificate_chain: {{filename: $FOLDER/leaf.pem}}, private_key: {{filename: $FOLDER/leaf.key}}}}]
            {validation}"""


def cluster(name: str) -> str:
    return f"""
  - name: {name}
    type: STATIC
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: ${name.upper()}}}}}}}}}]}}]"""


BOOTSTRAP = f"""
static_resources:
  listeners:
  - name: permissive
    address: {{socket_address: {{address: 127.0.0.1, port_value: $PERMISSIVE}}}}
    listener_filters:
    {INSPECTOR}
    filter_chains:
    - name: mesh
      filter_chain_match: {{transport_protocol: tls, application_protocols: [istio, istio-http/1.1]}}{manager("mesh")}{tls(client=True)}
    - name: secured
      filter_chain_match: {{transport_protocol: tls}}{manager("secured")}{tls(client=False)}
    - name: plain
      filter_chain_match: {{transport_protocol: raw_buffer}}{manager("plain")}
  - name: passing
    address: {{socket_address: {{address: 127.0.0.1, port_value: $PASSING}}}}
    listener_filters:
    {INSPECTOR}
    filter_chains:
    - name: one
      filter_chain_match: {{server_names: [one.test]}}{tcp("one")}
    - name: two
      filter_chain_match: {{server_names: ["*.two.test"]}}{tcp("two")}
  clusters:{cluster("one")}{cluster("two")}
"""


def client(folder: Path, *protocols: str, certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if certificate:
        context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    return context


async def get(twin: Twin, listener: str, context: ssl.SSLContext | None = None, name: str | None = None) -> str:
    """The body of an answer, or what became of the connection."""
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(HOST, twin.ports[listener], ssl=context, server_hostname=name)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            said = await reader.read()
    except (ConnectionError, ssl.SSLError):
        return "refused"
    writer.close()
    return said.rpartition(b"\r\n\r\n")[2].decode() or "closed"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Twins]:
    authority = Authority()
    (folder / "root.pem").write_bytes(authority.pem)
    pair = authority.pair("leaf.test")
    (folder / "leaf.pem").write_bytes(pair.chain)
    (folder / "leaf.key").write_bytes(pair.key)
    ports = {}
    async with AsyncExitStack() as stack:
        for name in ("one", "two"):

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = name) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + f"{name} {writer.get_extra_info('ssl_object').version()}".encode())
                writer.close()

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
            server = await asyncio.start_server(serve, HOST, 0, ssl=context)
            stack.callback(server.close)
            ports[name.upper()] = server.sockets[0].getsockname()[1]
        yield await stack.enter_async_context(twins(folder, BOOTSTRAP, "PERMISSIVE", "PASSING", FOLDER=folder, **ports))


@pytest.mark.parametrize("name", ["envoy", "ours"])
async def test_plaintext_and_tls_share_a_port(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as both:
        twin = getattr(both, name)
        assert await get(twin, "PERMISSIVE") == "plain"
        assert await get(twin, "PERMISSIVE", client(tmp_path), "leaf.test") == "secured"
        assert await get(twin, "PERMISSIVE", client(tmp_path, "http/1.1"), "leaf.test") == "secured"
        assert await get(twin, "PERMISSIVE", client(tmp_path, "istio", "http/1.1", certificate=True), "leaf.test") == "mesh"
        assert await get(twin, "PERMISSIVE", client(tmp_path, "istio"), "leaf.test") == "refused"


@pytest.mark.parametrize("name", ["envoy", "ours"])
async def test_tls_is_passed_on_unopened_by_its_server_name(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as both:
        twin = getattr(both, name)
        assert await get(twin, "PASSING", client(tmp_path), "one.test") == "one TLSv1.3"
        assert await get(twin, "PASSING", client(tmp_path), "ONE.test") == "one TLSv1.3"
        assert await get(twin, "PASSING", client(tmp_path), "a.b.two.test") == "two TLSv1.3"
        assert await get(twin, "PASSING", client(tmp_path), "two.test") == "refused"
        assert await get(twin, "PASSING") in ("refused", "closed")
