"""A mesh on this machine: the plan (who runs where, decided at once) and its life (processes started, awaited, replaced)."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..api import Resource, has_errors, parse_paths
from ..bootstrap.effective import ProxyConfigs
from .environment import ControlPlane, Instance, Proxy, place_gateway, place_instances
from .errors import InvalidConfig, LocalError
from .meshfile import CONFIG_FOLDER, FILE_NAME, SECRETS_FOLDER, MeshFile
from .ports import HOST, FreePorts, require_free
from .process import Child, Command
from .supervisor import Supervisor

CONTROL = "control-plane"
_TOKEN_LIFE = "720h"  # noqa: S105  a duration: longer than anybody leaves a laptop's mesh running

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every process of the mesh with its ports."""

    folder: Path
    state: Path
    """Where certificates, tokens and logs of this run go."""
    control: ControlPlane
    gateways: tuple[Proxy, ...]
    gateway_ports: tuple[int, ...]
    instances: tuple[Instance, ...]

    @classmethod
    def make(cls, folder: Path, state: Path) -> "Plan":
        """Read `folder`/mesh.yaml and choose ports; raises LocalError when a fixed one cannot be had."""
        mesh = MeshFile.load(folder / FILE_NAME)
        configs = ProxyConfigs(_checked_config(folder / CONFIG_FOLDER))
        ports, tokens = FreePorts(), state / "tokens"
        plan = cls(
            folder=folder, state=state, control=ControlPlane.place(state, ports),
            gateways=tuple(place_gateway(gateway, mesh.namespace, tokens, ports, configs) for gateway in mesh.gateways),
            gateway_ports=tuple(port for gateway in mesh.gateways for port in gateway.ports),
            instances=tuple(
                instance for workload in mesh.workloads for instance in place_instances(workload, mesh.namespace, tokens, ports, configs)
            ),
        )
        plan._require_ports()
        return plan

    @property
    def config(self) -> Path:
        return self.folder / CONFIG_FOLDER

    @property
    def secrets(self) -> Path | None:
        """Where the certificates of gateways and of TLS to the outside are, if the mesh has any."""
        folder = self.folder / SECRETS_FOLDER
        return folder if folder.is_dir() else None

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """Gateways first, then the sidecars."""
        return self.gateways + tuple(i.sidecar for i in self.instances if i.sidecar is not None)

    @property
    def overruled(self) -> list[str]:
        """A line for each setting of a start that this mesh decides itself."""
        told = {(name, proxy.name) for proxy in self.proxies for name in proxy.overruled(self.control)}
        return [f"{proxy} is started without the ProxyConfig's {name}, which this mesh decides itself" for name, proxy in sorted(told)]

    def instances_of(self, workload: str) -> list[Instance]:
        """The instances of one workload, in order."""
        return [instance for instance in self.instances if instance.workload.name == workload]

    def _require_ports(self) -> None:
        for port in self.gateway_ports:
            require_free(port, "the gateway")
        for instance in self.instances:
            for name, port in instance.ports.items():
                require_free(port, f"port {name!r} of {instance.pod}")


def _checked_config(folder: Path) -> list[Resource]:
    """Later mistakes are the control plane's to report, which keeps what was good; a mesh that starts with some would puzzle."""
    if not folder.is_dir():
        raise LocalError(f"{folder} is not a folder; it should hold the mesh's Istio resources")
    parsed = parse_paths([folder])
    if has_errors(parsed.problems):
        raise InvalidConfig("\n".join(map(str, parsed.problems)))
    return parsed.resources


@dataclass(frozen=True, slots=True)
class Part:
    """One long-running process: how it is started, and the address that tells when it is ready."""

    command: Command
    ready_url: str


def parts_of(plan: Plan) -> dict[str, Part]:
    """Every long-running process of a plan, by name."""
    parts = [Part(_control_command(plan), plan.control.ready_url)]
    for proxy in plan.proxies:
        command = Command(name=proxy.name, argv=["pymesh-proxy"], env=proxy.environment(plan.control))
        parts.append(Part(command, proxy.ready_url))
    for instance in plan.instances:
        command = Command(name=instance.pod, argv=instance.command(), env=instance.environment(), cwd=plan.folder)
        parts.append(Part(command, instance.ready_url))
    return {part.command.name: part for part in parts}


class LocalMesh:
    """The running mesh of a plan; its processes belong to the supervisor. `say` is told what is being awaited."""

    def __init__(self, plan: Plan, supervisor: Supervisor, say: Say) -> None:
        self.plan = plan
        self._supervisor = supervisor
        self._say = say
        self._parts = parts_of(plan)
        self._children: dict[str, Child] = {}

    async def start(self) -> None:
        """Start everything, side by side where nothing forbids it, and return when all of it is ready; raises LocalError."""
        await _together(self._start_planes(), *(self.start_process(instance.pod) for instance in self.plan.instances))

    async def start_process(self, name: str) -> None:
        """Start one process, also after it was killed; returns when it is ready. Raises LocalError."""
        part = self._parts[name]
        # What a killed process leaves among temporary files must go with the rest of the run.
        environment = {"TMPDIR": str(self.plan.state), **part.command.env}
        child = self._children[name] = await self._supervisor.start(replace(part.command, env=environment))
        await self._supervisor.ready(child, part.ready_url)

    async def kill(self, *names: str) -> None:
        """SIGKILL processes, as a crash would, and wait for their ends."""
        for name in names:
            self._children[name].signal(signal.SIGKILL)
        for name in names:
            await self._children[name].exit()

    def process(self, name: str) -> Child:
        """A process by its name."""
        return self._children[name]

    async def _start_planes(self) -> None:
        self._say("creating the certificate authority")
        await self._supervisor.output(_ca("init", self.plan.control))
        self._say("starting the control plane")
        await _together(self.start_process(CONTROL), self._publish_root(), *(self._mint(*account) for account in self._accounts()))
        self._say(f"starting {len(self.plan.proxies)} proxies")
        await _together(*(self.start_process(proxy.name) for proxy in self.plan.proxies))

    async def _publish_root(self) -> None:
        self.plan.control.root.write_text(await self._supervisor.output(_ca("root", self.plan.control)))

    async def _mint(self, namespace: str, service_account: str, path: Path) -> None:
        of = ("--namespace", namespace, "--service-account", service_account, "--ttl", _TOKEN_LIFE)
        token = await self._supervisor.output(_ca("token", self.plan.control, *of))
        _write_secret(path, token)

    def _accounts(self) -> set[tuple[str, str, Path]]:
        return {(proxy.namespace, proxy.service_account, proxy.token) for proxy in self.plan.proxies}


def _control_command(plan: Plan) -> Command:
    control = plan.control
    secrets = ["--secrets", str(plan.secrets)] if plan.secrets else []
    return Command(name=CONTROL, argv=[
        "pymesh-control", "--config", str(plan.config), "--ca-dir", str(control.ca_dir), "--state-dir", str(plan.state / CONTROL),
        "--xds", f"{HOST}:{control.xds}", "--secure-xds", f"{HOST}:{control.secure_xds}", "--monitoring", f"{HOST}:{control.monitoring}",
        *secrets,
    ])  # fmt: skip


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _ca(verb: str, control: ControlPlane, *options: str) -> Command:
    return Command(name=f"pymesh-ca-{verb}", argv=["pymesh-ca", verb, "--ca-dir", str(control.ca_dir), *options])


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all; the first failure cancels the rest and is raised alone, because people read one sentence."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
