"""The monitoring address: metrics, readiness, version, and pages that answer why a proxy has the configuration it has."""

import dataclasses
import json
import socket
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pymesh import __version__
from pymesh.xds import types

from .ads.clients import Clients
from .ads.stream import Stream
from .ads.subscription import Subscription
from .metrics import Metrics
from .world import World


class Monitoring:
    """An HTTP server over what the control plane knows; it changes nothing."""

    def __init__(self, world: World, clients: Clients, metrics: Metrics) -> None:
        self._world = world
        self._clients = clients
        self._metrics = metrics
        self._runner = web.AppRunner(self._application(), access_log=None)

    async def start(self, listening: socket.socket) -> None:
        """Serve on a socket that is bound already."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/metrics", self._metrics_page),
                web.get("/ready", self._ready),
                web.get("/version", self._version),
                web.get("/debug/syncz", self._syncz),
                web.get("/debug/configz", self._configz),
                web.get("/debug/registryz", self._registryz),
            ]
        )
        return application

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    async def _version(self, _request: web.Request) -> web.Response:
        return _json({"name": "pymesh-control", "version": __version__})

    async def _syncz(self, _request: web.Request) -> web.Response:
        return _json([client(stream) for stream in self._clients])

    async def _configz(self, _request: web.Request) -> web.Response:
        return _json(configuration(self._world))

    async def _registryz(self, _request: web.Request) -> web.Response:
        snapshot = self._world.snapshot
        return _json({"services": snapshot.services, "workloads": snapshot.workloads})


def client(stream: Stream) -> dict[str, Any]:
    """One connected proxy: how far it is with each type, and what it refused."""
    metadata = stream.node.metadata.fields
    return {
        "proxy": stream.node.id,
        "istio_version": metadata["ISTIO_VERSION"].string_value if "ISTIO_VERSION" in metadata else None,
        "user_agent": stream.node.user_agent_name,
        "identity": stream.identity and str(stream.identity),
        "connected_at": _moment(stream.connected_at),
        "types": {types.SHORT[one.type_url]: subscription(one) for one in stream.session.subscribed()},
    }


def subscription(one: Subscription) -> dict[str, Any]:
    return {
        "status": one.status.value,
        "version_sent": one.version,
        "version_acked": one.accepted_version,
        "nonce_sent": one.nonce,
        "last_ack": _moment(one.accepted_at),
        "error": one.error,
        "resources": len(one.sent),
        "subscribed": sorted(one.interest),
    }


def configuration(world: World) -> dict[str, Any]:
    """The resources in use, with where they stand, and everything wrong with the files."""
    return {
        "version": world.snapshot.version,
        "resources": [
            {
                "kind": resource.kind,
                "apiVersion": resource.api_version,
                "metadata": {"name": resource.name, "namespace": resource.namespace, "labels": resource.labels},
                "spec": resource.spec.model_dump(mode="json", exclude_none=True),
                "file": str(resource.where),
            }
            for resource in world.resources_used
        ],
        "problems": [{**dataclasses.asdict(problem), "text": str(problem)} for problem in world.problems],
    }


def _moment(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _json(content: Any) -> web.Response:
    return web.json_response(content, dumps=lambda value: json.dumps(value, default=_plain, indent=1) + "\n")


def _plain(value: Any) -> Any:
    """What json does not know: our frozen dataclasses, mappings, sets and enums."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Iterable):
        return sorted(value)
    return getattr(value, "value", str(value))
