"""A pod whose incoming connections TPROXY takes from their way, as Istio's rules do: the application sees the clients' addresses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.supervisor import Supervisor
from tests.interop.connections.namespaces import Host, hosts, program

from .pod import Pod

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESH = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: app}
spec:
  hosts: [app.default.svc.cluster.local]
  location: MESH_INTERNAL
  ports: [{number: 9000, name: tcp, protocol: TCP}, {number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: app}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: app}
spec:
  workloadSelector: {labels: {app: app}}
  ingress:
  - {port: {number: 9000, name: tcp, protocol: TCP}}
  - {port: {number: 9080, name: http, protocol: HTTP}}
  - {port: {number: 9081, name: http-fixed, protocol: HTTP}, defaultEndpoint: 0.0.0.0:9080}
"""
SETTINGS = "{discoveryAddress: 'localhost:15012', terminationDrainDuration: 0s, interceptionMode: TPROXY, concurrency: 1}"
RULES = (
    ("iptables", "10.99.0.1", "10.99.0.2", "0.0.0.0/0", "127.0.0.1/32"),
    ("ip6tables", "fd99::1", "fd99::2", "::/0", "::1/128"),
)
"""For each IP version: the program that takes connections, the host outside, the pod, every address, and loopback."""
CLIENTS = (("10.99.0.1", "10.99.0.2"), ("10.99.0.11", "10.99.0.2"), ("fd99::1", "fd99::2"))
"""Who calls, and where."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["ours", "envoy"])
async def outside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """The host outside, which has two addresses."""
    agent = ("pymesh-proxy",) if request.param == "ours" else ("pymesh-agent", "--sds-path", "sds", "--", *program("envoy")[:1])
    folder = tmp_path_factory.mktemp("pod")
    with hosts() as (client, host):
        client.run("ip", "address", "add", "10.99.0.11/24", "dev", "cable")
        for tables, *addresses in RULES:
            _capture(host, tables, *addresses)
        async with contextlib.AsyncExitStack() as stack:
            for address in ("10.99.0.2", "fd99::2"):
                for port in (9000, 9001, 9080):
                    await stack.enter_async_context(_serving(host, address, port))
            supervisor = await stack.enter_async_context(Supervisor(folder / "logs"))
            variables = {
                "INSTANCE_IPS": "10.99.0.2,fd99::2",
                "ISTIO_METAJSON_LABELS": '{"app": "app"}',
                "PROXY_CONFIG": SETTINGS,
            }
            await Pod(host).start(supervisor, folder, MESH, variables, agent)
            yield client


def _capture(pod: Host, tables: str, outside: str, own: str, everywhere: str, loopback: str) -> None:
    """Istio's rules: what comes in goes to the sidecar; what it sends from clients' addresses is marked, and so are the answers to that."""
    family = "-6" if ":" in own else "-4"
    pod.run("ip", family, "route", "add", "default", "via", outside)
    pod.run("ip", family, "rule", "add", "fwmark", "1337", "lookup", "133")
    pod.run("ip", family, "route", "add", "local", everywhere, "dev", "lo", "table", "133")
    for chain, *rule in (
        ("PREROUTING", "-m", "mark", "--mark", "1337", "-j", "CONNMARK", "--save-mark"),
        ("OUTPUT", "-m", "connmark", "--mark", "1337", "-j", "CONNMARK", "--restore-mark"),
        ("PREROUTING", "-i", "lo", "-j", "RETURN"),
        ("PREROUTING", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "MARK", "--set-mark", "1337"),
        ("PREROUTING", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"),
        ("PREROUTING", "!", "-d", loopback, "-j", "TPROXY", "--tproxy-mark", "1337", "--on-port", "15006"),
    ):
        pod.run(tables, "-t", "mangle", "-A", chain, "-p", "tcp", *rule)


@contextlib.asynccontextmanager
async def _serving(host: Host, address: str, port: int) -> AsyncIterator[None]:
    """An application that says who called, from which of the caller's connections: to each request of a connection, or once."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        while asked := await reader.read(1000):
            said = f"{peer[0]} {peer[1] if b'HTTP/1' in asked else port}"
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n" if b"HTTP/1" in asked else ""
            writer.write((head + said).encode())
            if not head:
                break
        writer.close()

    sock = host.socket(address)
    sock.bind((address, port))
    async with await asyncio.start_server(answer, sock=sock):
        yield


async def _connect(client: Host, source: str, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = client.socket(address)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, (address, port))
    return await asyncio.open_connection(sock=sock)


@pytest.mark.parametrize("port", [9000, 9001])
@pytest.mark.parametrize(("source", "address"), CLIENTS)
async def test_connections_come_from_their_clients(outside: Host, source: str, address: str, port: int) -> None:
    """On a port that a service names, and on one that none does."""
    reader, writer = await _connect(outside, source, address, port)
    writer.write(b"no HTTP at all\r\n\r\n")
    async with asyncio.timeout(30):
        assert await reader.read() == f"{source} {port}".encode()
    writer.close()


async def _get(client: Host, source: str, address: str, port: int) -> list[str]:
    """Address and port from which the application was asked."""
    reader, writer = await _connect(client, source, address, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
    try:
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            return (await reader.readexactly(length)).decode().split()
    finally:
        writer.close()


async def test_requests_for_a_fixed_endpoint_come_from_their_clients_too(outside: Host) -> None:
    for source in ("10.99.0.1", "10.99.0.11", "10.99.0.1"):
        assert (await _get(outside, source, "10.99.0.2", 9081))[0] == source


async def test_requests_come_from_their_clients_over_connections_of_their_own(outside: Host) -> None:
    seen = [await _get(outside, source, address, 9080) for source, address in (*CLIENTS, *CLIENTS)]
    assert [peer for peer, _ in seen] == [source for source, _ in (*CLIENTS, *CLIENTS)]
    ports = [port for _, port in seen]
    assert ports[:3] == ports[3:], "a client's next request takes the connection that the sidecar has for it"
