"""Both proxies with one bootstrap, in front of the same two upstreams."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require
from tests.interop.differential.upstream import Upstream

from .bootstrap import bootstrap
from .cases import OPTIONS
from .upstream import Http2Upstream


@dataclass(frozen=True)
class Proxy:
    """The port of each listener by its name, and the access log."""

    ports: dict[str, int]
    log: Path


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Proxy, Proxy]]:
    """Envoy and ours."""
    ports, started = FreePorts(), []
    flags = ["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "20"]
    programs = {"envoy": [str(require("envoy")), *flags], "ours": ["pymesh-proxy"]}
    async with Upstream() as one, Http2Upstream() as two, Supervisor(folder) as supervisor:
        for name, program in programs.items():
            proxy, admin = Proxy({listener: ports.take() for listener in OPTIONS}, folder / f"{name}.access"), ports.take()
            upstreams = {"one": one.port, "two": two.port, "dead": ports.take()}
            path = folder / f"{name}.json"
            path.write_text(json.dumps(bootstrap(proxy.ports, admin, upstreams, proxy.log)))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
            started.append(proxy)
        yield started[0], started[1]
