"""Network namespaces of a test's own: two hosts with a cable between them, whose packets can be intercepted as in a pod."""

import asyncio
import contextlib
import ctypes
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import peers

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_numbers = itertools.count()


class Host:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str) -> None:
        """Run a program inside; raises CalledProcessError."""
        subprocess.run(self.inside(*command), check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def inside(self, *command: str) -> list[str]:
        """A command line that runs inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def socket(self, address: str) -> socket.socket:
        """A TCP socket that belongs inside, for an address of a family."""
        made: list[socket.socket] = []

        def make() -> None:
            """In a thread of its own, which the namespace is left with."""
            descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(descriptor)
            made.append(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].setblocking(False)
        return made[0]

    async def connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from inside."""
        sock = self.socket(address)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
        return await asyncio.open_connection(sock=sock)

    async def ask(self, address: str, port: int, question: bytes) -> bytes:
        """Everything that is answered until the connection ends, by a FIN or, without an answer, by a RST."""
        reader, writer = await self.connect(address, port)
        writer.write(question)
        try:
            async with asyncio.timeout(30):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def reachable(self, address: str, port: int) -> bool:
        """Whether somebody listens there."""
        try:
            _, writer = await self.connect(address, port)
        except OSError:
            return False
        writer.close()
        return True


@contextlib.contextmanager
def hosts() -> Iterator[tuple[Host, Host]]:
    """A client (10.99.0.1, fd99::1) and a server (10.99.0.2, fd99::2); everything that the client sends goes to the server."""
    for program in ("iptables", "ip6tables"):
        _needs(program)
    with host("client") as client, host("server") as server:
        _join(client, server)
        yield client, server


@contextlib.contextmanager
def host(name: str) -> Iterator[Host]:
    """A host without a cable: what listens inside is in nobody's way."""
    _needs("ip")
    made = Host(f"pymesh-{os.getpid()}-{next(_numbers)}-{name}")
    added = subprocess.run(["ip", "netns", "add", made.name], capture_output=True, text=True)
    if added.returncode:
        pytest.skip(f"no right to make network namespaces: {added.stderr.strip()}")
    try:
        made.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], check=True)


def _needs(program: str) -> None:
    if peers.program(program) is None:
        pytest.skip(f"{program} is not installed; `make peers` brings it")


def _join(client: Host, server: Host) -> None:
    client.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", server.name)
    for host, last in ((client, 1), (server, 2)):
        host.run("ip", "address", "add", f"10.99.0.{last}/24", "dev", "cable")
        host.run("ip", "address", "add", f"fd99::{last}/64", "dev", "cable", "nodad")
        host.run("ip", "link", "set", "cable", "up")
    client.run("ip", "route", "add", "default", "via", "10.99.0.2")
    client.run("ip", "-6", "route", "add", "default", "via", "fd99::2")


def program(name: str) -> list[str]:
    """How a proxy is called, `envoy` or `ours`; it is given `-c` and a bootstrap."""
    if name == "ours":
        return [str(Path(sys.executable).with_name("pymesh-proxy"))]
    binary: Path | None = peers.envoy()
    if binary is None:
        pytest.skip("envoy is not installed; `make peers` brings it")
    return [str(binary), "--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "50"]
