"""A pod whose connections iptables takes from their way: what they say themselves of whom they are for counts, not their address.

The hosts are those below `localhost` (RFC 6761 6.3), so what is looked up is found inside the pod, while every connection was for a
server outside.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.supervisor import Supervisor
from tests.interop.connections.namespaces import Host, hosts, program

from .pod import APPLICATION, Pod

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESH = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ["*.wild.localhost"]
  resolution: DYNAMIC_DNS
  ports: [{number: 7001, name: http, protocol: HTTP}, {number: 7002, name: tls, protocol: TLS}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}"}
"""
OUTSIDE, INSIDE = "10.99.0.1", "127.0.0.1"
PORTS = (7001, 7002, 7003)
HELLO = """
import encodings.idna, os, socket, ssl, sys
os.setuid(int(sys.argv[1]))
sent = ssl.MemoryBIO()
client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=sys.argv[4])
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    pass
with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=10) as connection:
    connection.sendall(sent.read())
    print(connection.recv(1000).decode())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["ours", "envoy"])
async def pod(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pod]:
    agent = () if request.param == "ours" else ("pymesh-agent", "--sds-path", "sds", "--", *program("envoy")[:1])
    with hosts() as (outside, host):
        of_application = ("-m", "owner", "--uid-owner", APPLICATION, "-p", "tcp")
        host.run("iptables", "-t", "nat", "-A", "OUTPUT", *of_application, "-j", "REDIRECT", "--to-ports", "15001")
        async with contextlib.AsyncExitStack() as stack:
            for port in PORTS:
                await stack.enter_async_context(_serving(outside, OUTSIDE, port))
                await stack.enter_async_context(_serving(host, INSIDE, port))
            supervisor = await stack.enter_async_context(Supervisor(tmp_path_factory.mktemp("logs")))
            made = Pod(host)
            await made.start(supervisor, tmp_path_factory.mktemp("pod"), MESH, {}, *((agent,) if agent else ()))
            yield made


@contextlib.asynccontextmanager
async def _serving(host: Host, address: str, port: int) -> AsyncIterator[None]:
    """It says where it was called, over HTTP to whom speaks HTTP."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked, said = await reader.read(1000), f"{address} {port}"
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(said)}\r\n\r\n" if b"HTTP/1" in asked else ""
        writer.write((head + said).encode())
        writer.close()

    sock = host.socket(address)
    sock.bind((address, port))
    async with await asyncio.start_server(answer, sock=sock):
        yield


async def hello(pod: Pod, name: str, port: int) -> str:
    """What is answered to a ClientHello for a name, sent to the server outside."""
    command = pod.host.inside(sys.executable, "-c", HELLO, APPLICATION, OUTSIDE, str(port), name)
    asked = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await asked.communicate()
    return output.decode().strip()


@pytest.mark.parametrize("port", [7001, 7003])
@pytest.mark.parametrize("host", ["a.wild.localhost", "b.other.localhost"])
async def test_requests_go_to_the_host_that_they_name(pod: Pod, host: str, port: int) -> None:
    """A declared one and an unknown one, on a port of a service and on one that none has."""
    _, answer = await pod.call(OUTSIDE, port, f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 OK")
    assert answer.endswith(f"{INSIDE} {port}")


async def test_tls_goes_to_the_server_name_where_it_is_declared(pod: Pod) -> None:
    assert await hello(pod, "a.wild.localhost", 7002) == f"{INSIDE} 7002"


@pytest.mark.parametrize("port", [7002, 7003])
async def test_other_tls_passes_on_to_where_it_was_going(pod: Pod, port: int) -> None:
    assert await hello(pod, "b.other.localhost", port) == f"{OUTSIDE} {port}"


@pytest.mark.parametrize("port", PORTS)
async def test_what_says_nothing_of_a_host_passes_on_too(pod: Pod, port: int) -> None:
    assert await pod.call(OUTSIDE, port, "no HTTP at all\r\n\r\n") == (OUTSIDE, f"{OUTSIDE} {port}")
