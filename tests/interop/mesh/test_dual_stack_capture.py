"""A pod of two IP versions whose connections iptables and ip6tables take from their way: both arrive where they were meant to go."""

import asyncio
import contextlib
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
metadata: {name: orders}
spec:
  hosts: [orders.example.com]
  addresses: ["10.99.9.9", "fd99::9:9"]
  ports: [{number: 5432, name: tcp-db, protocol: TCP, targetPort: 7001}]
  resolution: STATIC
  endpoints: [{address: "fd99::1"}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 7002}]
  resolution: STATIC
  endpoints: [{address: "fd99::1"}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: app}
spec:
  hosts: [app.default.svc.cluster.local]
  location: MESH_INTERNAL
  ports: [{number: 9000, name: tcp, protocol: TCP}]
  resolution: STATIC
  workloadSelector: {labels: {app: app}}
"""
BOTH = (("iptables", "10.99.0.1", "10.99.0.2", "127.0.0.6"), ("ip6tables", "fd99::1", "fd99::2", "::6"))
"""For each IP version: the program that takes connections, the host outside, the pod, and whence the sidecar calls the application."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["ours", "envoy"])
async def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Host, Pod]]:
    """The host outside, and the pod."""
    agent = () if request.param == "ours" else ("pymesh-agent", "--sds-path", "sds", "--", *program("envoy")[:1])
    folder = tmp_path_factory.mktemp("pod")
    with hosts() as (outside, host):
        _capture(host)
        async with contextlib.AsyncExitStack() as stack:
            for address in ("10.99.0.1", "fd99::1"):
                for port in (7001, 7002, 7003):
                    await stack.enter_async_context(_serving(outside, address, port))
            for port in (9000, 9001):
                for address in ("10.99.0.2", "fd99::2"):
                    await stack.enter_async_context(_serving(host, address, port))
            supervisor = await stack.enter_async_context(Supervisor(folder / "logs"))
            pod = Pod(host)
            variables = {"INSTANCE_IPS": "10.99.0.2,fd99::2", "ISTIO_METAJSON_LABELS": '{"app": "app"}'}
            await pod.start(supervisor, folder, MESH, variables, *((agent,) if agent else ()))
            yield outside, pod


def _capture(pod: Host) -> None:
    """The rules of Istio's init container that matter here, for each IP version, and the address that IPv6 has no block on loopback for."""
    pod.run("ip", "address", "add", "::6/128", "dev", "lo")
    for tables, outside, own, _ in BOTH:
        pod.run("ip", "-6" if ":" in own else "-4", "route", "add", "default", "via", outside)
        of_application = ("-m", "owner", "--uid-owner", APPLICATION, "-p", "tcp")
        pod.run(tables, "-t", "nat", "-A", "OUTPUT", *of_application, "-j", "REDIRECT", "--to-ports", "15001")
        pod.run(tables, "-t", "nat", "-A", "PREROUTING", "-i", "cable", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15006")


@contextlib.asynccontextmanager
async def _serving(host: Host, address: str, port: int) -> AsyncIterator[None]:
    """It says who called and where, over HTTP to whom speaks HTTP."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(1000)
        said = f"{writer.get_extra_info('peername')[0]} {writer.get_extra_info('sockname')[0]} {port}"
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(said)}\r\n\r\n" if b"HTTP/1" in asked else ""
        writer.write((head + said).encode())
        writer.close()

    sock = host.socket(address)
    sock.bind((address, port))
    async with await asyncio.start_server(answer, sock=sock):
        yield


@pytest.mark.parametrize("address", ["10.99.9.9", "fd99::9:9"])
async def test_connections_to_either_address_of_a_service_get_to_it(both: tuple[Host, Pod], address: str) -> None:
    assert await both[1].call(address) == (address, "fd99::2 fd99::1 7001")


@pytest.mark.parametrize("address", ["10.99.9.8", "fd99::9:8"])
async def test_requests_to_any_address_are_told_by_their_host(both: tuple[Host, Pod], address: str) -> None:
    request = "GET / HTTP/1.1\r\nHost: web.example.com\r\nConnection: close\r\n\r\n"
    called, answer = await both[1].call(address, 80, request)
    assert called == address
    assert answer.startswith("HTTP/1.1 200 OK")
    assert answer.endswith("fd99::2 fd99::1 7002")


@pytest.mark.parametrize(("outside", "pod"), [(row[1], row[2]) for row in BOTH])
async def test_what_the_mesh_does_not_know_is_reached_as_before(both: tuple[Host, Pod], outside: str, pod: str) -> None:
    assert await both[1].call(outside, 7003) == (outside, f"{pod} {outside} 7003")


@pytest.mark.parametrize("port", [15020, 15021, 15090])
@pytest.mark.parametrize("address", [row[2] for row in BOTH])
async def test_probes_and_scrapes_get_to_the_sidecar_at_either_address(both: tuple[Host, Pod], address: str, port: int) -> None:
    assert await both[1].host.reachable(address, port)


@pytest.mark.parametrize("port", [9000, 9001])
@pytest.mark.parametrize(("address", "source"), [(row[2], row[3]) for row in BOTH])
async def test_the_application_is_called_where_it_was_meant_and_whence_rules_let_it_pass(
    both: tuple[Host, Pod], address: str, source: str, port: int
) -> None:
    """On a port that a service names, and on one that none does."""
    assert await both[0].ask(address, port, b"no HTTP at all\r\n\r\n") == f"{source} {address} {port}".encode()
