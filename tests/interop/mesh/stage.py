"""A control plane with folders of resources and of credentials, and single proxies that it configures: ours, or a real Envoy."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pymesh.local.environment import ControlPlane, Proxy, place_gateway
from pymesh.local.meshfile import Gateway
from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Child, Command
from pymesh.local.supervisor import Supervisor
from pymesh_certs import token
from pymesh_certs.authority import Authority
from tests.interop.conftest import require

NAMESPACE = "default"
OURS, ENVOY = "ours", "envoy"


class Stage:
    """What a test puts on it: resources, credentials, proxies."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.ports = FreePorts()
        self.control = ControlPlane.place(folder, self.ports)
        self.authority = Authority.load_or_create(self.control.ca_dir, "cluster.local")
        self.control.root.write_bytes(self.authority.root_pem)
        for name in ("config", "secrets"):
            (folder / name).mkdir()

    def configure(self, name: str, *resources: Mapping[str, Any]) -> None:
        """Put a file of resources into the folder, whole at once."""
        draft = self.folder / name
        draft.write_text("\n---\n".join(map(json.dumps, resources)))  # JSON is YAML
        os.replace(draft, self.folder / "config" / name)

    def hold(self, name: str, members: Mapping[str, bytes]) -> None:
        """Put a credential of the proxies' namespace into the folder, each file whole at once."""
        place = self.folder / "secrets" / NAMESPACE / name
        place.mkdir(parents=True, exist_ok=True)
        for member, content in members.items():
            draft = place / f".{member}"
            draft.write_bytes(content)
            os.replace(draft, place / member)

    async def start_control(self) -> None:
        """Start the control plane; returns when it serves."""
        control = self.control
        options = {
            "--config": self.folder / "config", "--secrets": self.folder / "secrets", "--ca-dir": control.ca_dir,
            "--state-dir": self.folder / "state", "--xds": f"{HOST}:{control.xds}", "--secure-xds": f"{HOST}:{control.secure_xds}",
            "--monitoring": f"{HOST}:{control.monitoring}",
        }  # fmt: skip
        argv = ["pymesh-control", *(str(part) for option in options.items() for part in option)]
        await self.supervisor.ready(await self.supervisor.start(Command(name="control", argv=argv)), control.ready_url)

    async def start_gateway(self, name: str, flavor: str, locality: str = "", **more: str) -> Child:
        """Start a gateway labelled `edge: <name>`; returns when it is ready. Skips the test where there is no Envoy."""
        label = Gateway(name=name, labels={"edge": name} | ({"istio-locality": locality} if locality else {}))
        return await self.start(place_gateway(label, NAMESPACE, self.folder / "tokens", self.ports), flavor, **more)

    async def start(self, proxy: Proxy, flavor: str, **more: str) -> Child:
        """Start a proxy, with further variables; returns when it is ready. Skips the test where there is no Envoy."""
        proxy.token.parent.mkdir(exist_ok=True)
        proxy.token.write_text(token.mint(self.control.ca_dir, proxy.namespace, proxy.service_account, timedelta(hours=1)))
        folder = self.folder / proxy.pod
        folder.mkdir()
        argv = ["pymesh-proxy"] if flavor == OURS else ["pymesh-agent", "--sds-path", "sds", "--", str(require("envoy"))]
        command = Command(name=proxy.pod, argv=argv, env=proxy.environment(self.control) | more, cwd=folder)
        child = await self.supervisor.start(command)
        await self.supervisor.ready(child, proxy.ready_url)
        return child


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """A stage under `folder`; what was started on it ends with the block."""
    async with Supervisor(folder / "logs") as supervisor:
        yield Stage(folder, supervisor)


def resource(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A resource of Istio's networking group, in the proxies' namespace."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
