"""Peers as fixtures: each is started on free ports and stopped with the test, or the test is skipped with the reason."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Child, Command
from pymesh.local.supervisor import Supervisor
from tests import peers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs peers."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


def require(name: str) -> Path:
    """The path of a peer, or the test is skipped."""
    found = peers.envoy() if name == "envoy" else peers.program(name)
    if found is None:
        pytest.skip(f"{name} is not installed; `make peers` brings it")
    return found


@pytest.fixture
def ports() -> FreePorts:
    return FreePorts()


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """Runs any further process of a test; none outlives it."""
    async with Supervisor(tmp_path / "logs") as running:
        yield running


@dataclass(frozen=True)
class Running:
    """A started peer. `admin` is the port of its admin interface, or the one it listens on when it has none."""

    child: Child
    admin: int

    @property
    def log(self) -> str:
        return self.child.log.read_text(errors="replace")


StartEnvoy = Callable[..., Awaitable[Running]]
StartNginx = Callable[[], Awaitable[Running]]
StartPrometheus = Callable[[int], Awaitable[Running]]


@pytest.fixture
def envoy(supervisor: Supervisor, ports: FreePorts, tmp_path: Path) -> StartEnvoy:
    """Start a real Envoy: `await envoy(bootstrap, *flags)`. The bootstrap gets an admin address of its own; returns once it is live."""
    binary = require("envoy")

    async def start(bootstrap: dict[str, Any], *flags: str, name: str = "envoy") -> Running:
        admin = ports.take()
        path = tmp_path / f"{name}.json"
        address = {"socket_address": {"address": HOST, "port_value": admin}}
        path.write_text(json.dumps({**bootstrap, "admin": {"address": address}}))
        argv = [str(binary), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", *flags]
        child = await supervisor.start(Command(name=name, argv=argv))
        await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
        return Running(child, admin)

    return start


@pytest.fixture
def nginx(supervisor: Supervisor, ports: FreePorts, tmp_path: Path) -> StartNginx:
    """Start an nginx that answers `hello` to everything."""
    binary = require("nginx")

    async def start() -> Running:
        port = ports.take()
        path = tmp_path / "nginx.conf"
        path.write_text(f"""
            daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log stderr;
            events {{}}
            http {{
                access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
                fastcgi_temp_path {tmp_path}/fastcgi; uwsgi_temp_path {tmp_path}/uwsgi; scgi_temp_path {tmp_path}/scgi;
                server {{ listen {HOST}:{port}; location / {{ return 200 "hello"; }} }}
            }}
        """)
        child = await supervisor.start(Command(name="nginx", argv=[str(binary), "-p", str(tmp_path), "-c", str(path)]))
        await supervisor.ready(child, f"http://{HOST}:{port}/")
        return Running(child, port)

    return start


@pytest.fixture
def prometheus(supervisor: Supervisor, ports: FreePorts, tmp_path: Path) -> StartPrometheus:
    """Start Debian's Prometheus scraping `/stats/prometheus` of the given port each second; returns once it answers queries."""
    binary = require("prometheus")

    async def start(target: int) -> Running:
        port = ports.take()
        path = tmp_path / "prometheus.yml"
        job = {"job_name": "mesh", "metrics_path": "/stats/prometheus", "static_configs": [{"targets": [f"{HOST}:{target}"]}]}
        path.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
        argv = [str(binary), f"--config.file={path}", f"--web.listen-address={HOST}:{port}", f"--storage.tsdb.path={tmp_path}/tsdb"]
        child = await supervisor.start(Command(name="prometheus", argv=argv))
        await supervisor.ready(child, f"http://{HOST}:{port}/-/ready")
        return Running(child, port)

    return start


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """An upstream that answers with what it was asked, as JSON; the value is its port. `/status/<code>` answers with that status."""
    app = web.Application()
    app.router.add_route("*", "/status/{code:[2-5][0-9][0-9]}", _echo)
    app.router.add_route("*", "/{path:.*}", _echo)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


async def _echo(request: web.Request) -> web.Response:
    document = {
        "method": request.method,
        "path": request.raw_path,
        "headers": sorted([name.lower(), value] for name, value in request.headers.items()),
        "body": (await request.read()).decode("latin-1"),
    }
    return web.json_response(document, status=int(request.match_info.get("code", "200")))
