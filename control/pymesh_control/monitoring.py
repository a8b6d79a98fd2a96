"""The monitoring address: metrics, readiness, version, and pages that answer why a proxy has the configuration it has."""

import asyncio
import dataclasses
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from pymesh import __version__
from pymesh.identity import SpiffeId
from pymesh_certs.authenticate import Credentials, JoinTokens
from pymesh_certs.errors import AuthenticationFailed
from pymesh_certs.peer import TlsPeer

from .ads.clients import Clients
from .debug import access
from .debug.clients import UnknownProxy
from .debug.described import UnknownService
from .debug.pages import OF_ONE_PROXY, PAGES, Page, Question, listed
from .metrics import Metrics
from .registration.registry import Registry
from .reports.blocked import Blocked
from .world import World

_log = logging.getLogger("pymesh.monitoring")


class Monitoring:
    """An HTTP server over what the control plane knows; it changes nothing."""

    def __init__(
        self, world: World, clients: Clients, registry: Registry, blocked: Blocked, metrics: Metrics, tokens: JoinTokens
    ) -> None:
        """`tokens` vouch for whoever asks for debug pages from another machine."""
        self._world = world
        self._tokens = tokens
        self._clients = clients
        self._registry = registry
        self._blocked = blocked
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
                web.get("/debug/list", self._page("list", listed)),
                *(web.get(f"/debug/{name}", self._page(name, page)) for name, (_, page) in PAGES.items()),
            ]
        )
        return application

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    async def _version(self, _request: web.Request) -> web.Response:
        return _json({"name": "pymesh-control", "version": __version__})

    def _page(self, name: str, page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The handler of a debug page. What it tells is gathered here, on the loop; to write it takes longer, and is done in a thread."""

        async def answer(request: web.Request) -> web.Response:
            asked = Question(self._world, list(self._clients), self._registry.standings(), self._blocked, request.query)
            try:
                caller = access.Caller(request.remote or "", request.host, await self._identity(request))
                access.check(caller, self._world.snapshot.mesh.root_namespace, None if caller.is_local else _namespace(name, asked))
                content = page(asked)
            except access.Refused as refused:
                return web.json_response({"error": refused.reason}, status=refused.status)
            except (UnknownProxy, UnknownService) as error:
                return web.json_response({"error": str(error)}, status=404)
            return web.json_response(text=await asyncio.to_thread(_text, content))

        return answer

    async def _identity(self, request: web.Request) -> SpiffeId | None:
        """Whom the caller's token vouches for. Raises Refused for one that is no good."""
        try:
            return await self._tokens.authenticate(Credentials(TlsPeer(None), request.headers.get("Authorization")))
        except AuthenticationFailed as error:
            _log.warning("%s asked for %s: %s", request.remote, request.path, error)
            raise access.Refused(401, "the token is not good; the control plane's log says why") from None


def _namespace(name: str, asked: Question) -> str | None:
    """The namespace of the proxy that a page is about; None where it is about more, or that proxy is not there to be told of."""
    if name not in OF_ONE_PROXY:
        return None
    try:
        return asked.view.namespace
    except UnknownProxy:
        return None


def _json(content: Any) -> web.Response:
    return web.json_response(text=_text(content))


def _text(content: Any) -> str:
    return json.dumps(content, default=_plain, indent=1) + "\n"


def _plain(value: Any) -> Any:
    """What json does not know: protobuf messages (as Envoy spells them), our frozen dataclasses, mappings, sets and enums."""
    if isinstance(value, Message):
        return json_format.MessageToDict(value, preserving_proto_field_name=True)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return sorted(value)
    return getattr(value, "value", str(value))
