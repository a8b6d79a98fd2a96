"""A pod whose DNS queries and connections iptables takes from their way, as Istio's rules do; the C library asks for the names."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.supervisor import Supervisor
from tests.interop.connections.namespaces import Host, hosts

from .pod import APPLICATION, Pod

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESOLV_CONF = "nameserver 10.99.0.53\nsearch default.svc.cluster.local\noptions ndots:5\n"
"""Nobody is there: queries go to the sidecar, and it needs to pass on none of them, although the C library completes names first."""
DATABASES = {"orders.example.com": 7001, "users.example.com": 7002}
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}]
  ports: [{{number: 5432, name: tcp-db, protocol: TCP, targetPort: {target}}}]
  resolution: STATIC
  endpoints: [{{address: 10.99.0.1}}]
"""


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Host, Host]]:
    with hosts() as (outside, pod):
        etc = Path("/etc/netns", pod.name)  # what `ip netns exec` shows in the place of /etc
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text(RESOLV_CONF)
        try:
            yield outside, pod
        finally:
            shutil.rmtree(etc)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pod(pair: tuple[Host, Host], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pod]:
    outside, host = pair
    host.run("ip", "route", "add", "default", "via", "10.99.0.1")
    for protocol in ("udp", "tcp"):
        redirect = ("-d", "10.99.0.53", "-p", protocol, "--dport", "53", "-j", "REDIRECT", "--to-ports", "15053")
        host.run("iptables", "-t", "nat", "-A", "OUTPUT", *redirect)
    of_application = ("-m", "owner", "--uid-owner", APPLICATION, "-p", "tcp")
    host.run("iptables", "-t", "nat", "-A", "OUTPUT", *of_application, "-j", "REDIRECT", "--to-ports", "15001")
    folder = tmp_path_factory.mktemp("pod")
    async with contextlib.AsyncExitStack() as stack:
        for name, port in DATABASES.items():
            await stack.enter_async_context(database(outside, name, port))
        supervisor = await stack.enter_async_context(Supervisor(folder / "logs"))
        found = Pod(host)
        mesh = "---".join(ENTRY.format(name=name, target=port) for name, port in DATABASES.items())
        await found.start(supervisor, folder, mesh, {"ISTIO_META_DNS_CAPTURE": "true"})
        yield found


@contextlib.asynccontextmanager
async def database(outside: Host, name: str, port: int) -> AsyncIterator[None]:
    """It says its name to whoever calls."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(name.encode())
        writer.close()

    sock = outside.socket("10.99.0.1")
    sock.bind(("10.99.0.1", port))
    async with await asyncio.start_server(answer, sock=sock):
        yield


async def test_two_services_on_one_port_are_told_apart_by_their_names(pod: Pod) -> None:
    (first, orders), (second, users) = await asyncio.gather(*map(pod.call, DATABASES))
    assert [orders, users] == list(DATABASES)
    assert first != second
    assert all(address.startswith("240.240.") for address in (first, second))


async def test_what_the_mesh_does_not_know_is_reached_as_before(pod: Pod) -> None:
    assert await pod.call("10.99.0.1", 7001) == ("10.99.0.1", "orders.example.com")
