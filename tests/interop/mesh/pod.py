"""A pod in a network namespace of its own: a control plane and a sidecar on the ports that they have in a cluster."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.connections.namespaces import Host
from tests.waiting import eventually

APPLICATION = "1338"
"""The user whose connections are taken; the sidecar's own are not."""
CALL = """
import encodings.idna, os, socket, sys
os.setuid(int(sys.argv[1]))
with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=10) as connection:
    connection.sendall(sys.argv[4].encode())
    print(connection.getpeername()[0], connection.recv(1000).decode())
"""


class Pod:
    """The host that the sidecar runs on, at 10.99.0.2 and fd99::2."""

    def __init__(self, host: Host) -> None:
        self.host = host

    async def call(self, name: str, port: int = 5432, say: str = "hello") -> tuple[str, str]:
        """The address that a name stands for, and what is answered there to the application."""
        command = self.host.inside(sys.executable, "-c", CALL, APPLICATION, name, str(port), say)
        asked = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await asked.communicate()
        address, _, answer = output.decode().strip().partition(" ")
        return address, answer

    async def is_ready(self) -> bool:
        request = b"GET /healthz/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        return await self.host.reachable("10.99.0.2", 15021) and b" 200 " in await self.host.ask("10.99.0.2", 15021, request)

    async def start(
        self, supervisor: Supervisor, folder: Path, mesh: str, variables: Mapping[str, str], sidecar: tuple[str, ...] = ("pymesh-proxy",)
    ) -> None:
        """Start a control plane with `mesh` for its configuration, and a sidecar with `variables` added to its environment."""
        config, ca = folder / "config", folder / "ca"
        config.mkdir()
        (config / "mesh.yaml").write_text(mesh)
        programs = Path(sys.executable).parent
        for verb, file in (("init", "out"), ("root", "root.pem"), ("token", "token")):
            account = ("--namespace", "default", "--service-account", "default") if verb == "token" else ()
            command = [str(programs / "pymesh-ca"), verb, "--ca-dir", str(ca), *account]
            (folder / file).write_text(await supervisor.output(Command(name=f"ca-{verb}", argv=command)))
        control = [str(programs / "pymesh-control"), "--config", str(config), "--ca-dir", str(ca), "--state-dir", str(folder / "state")]
        await supervisor.start(Command(name="control", argv=self.host.inside(*control)))
        await eventually(lambda: self.host.reachable("127.0.0.1", 15012))
        program, *arguments = sidecar
        argv = self.host.inside(str(programs / program), *arguments)
        await supervisor.start(Command(name="sidecar", argv=argv, env={**environment(folder), **variables}, cwd=folder))
        await eventually(self.is_ready)


def environment(folder: Path) -> dict[str, str]:
    return {
        "POD_NAME": "caller",
        "POD_NAMESPACE": "default",
        "INSTANCE_IP": "10.99.0.2",
        "CA_ROOT_CA": str(folder / "root.pem"),
        "PYMESH_TOKEN_FILE": str(folder / "token"),
        "PROXY_CONFIG": json.dumps({"discoveryAddress": "localhost:15012", "terminationDrainDuration": "0s"}),
    }
