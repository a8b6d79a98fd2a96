"""Proxies one behind another, as real processes in front of one upstream on loopback."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Child, Command
from pymesh.local.supervisor import Supervisor

_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
OURS = ("pymesh-proxy",)


@dataclass(frozen=True)
class Chain:
    """`port` is the first proxy's; `children` are in the order of a request."""

    port: int
    children: tuple[Child, ...]


@asynccontextmanager
async def chain(folder: Path, upstream: int, programs: Sequence[Sequence[str]] = (OURS,), **manager: Any) -> AsyncIterator[Chain]:
    """A proxy for each program (its command line up to `-c`); further arguments are fields of their HttpConnectionManager."""
    ports = FreePorts()
    children: list[Child] = []
    port = upstream
    async with Supervisor(folder) as supervisor:
        for number, program in reversed(list(enumerate(programs))):
            mine, admin = ports.take(), ports.take()
            path = folder / f"{number}.json"
            path.write_text(json.dumps(_bootstrap(mine, admin, port, manager)))
            child = await supervisor.start(Command(name=f"proxy-{number}", argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
            children.insert(0, child)
            port = mine
        yield Chain(port, tuple(children))


def _bootstrap(port: int, admin: int, upstream: int, manager: dict[str, Any]) -> dict[str, Any]:
    config = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "chain",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"}}],
        "route_config": {"name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [_route()]}]},
        **manager,
    }
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}
    return {
        "node": {"id": "chain", "cluster": "chain"},
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [
                {"name": "in", "address": _address(port), "filter_chains": [{"filters": [{"name": "http", "typed_config": config}]}]}
            ],
            "clusters": [{"name": "up", "type": "STATIC", "load_assignment": {"cluster_name": "up", "endpoints": [endpoint]}}],
        },
    }


def _route() -> dict[str, Any]:
    return {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}
