"""The HTTP side of the admin interface: an address, a guard, Envoy's headers; what is answered is its heirs' business."""

from abc import ABC, abstractmethod

from aiohttp import web

from ..errors import StartupError
from .facts import Answer, BadQuery
from .guard import refusal

_HEADERS = {"cache-control": "no-cache, max-age=0", "x-content-type-options": "nosniff", "server": "envoy"}


class Door(ABC):
    """Listens on one address and answers with what `answer` makes of a request."""

    def __init__(self) -> None:
        self._host = ""
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The bound address, once started; the path and 0 for a Unix socket."""
        assert self._runner is not None, "start() comes first"
        name = self._runner.addresses[0]
        return (name, 0) if isinstance(name, str) else (name[0], name[1])

    async def start(self, host: str, port: int) -> None:
        """Listen on an address, or on the Unix socket whose path `host` is; raises StartupError."""
        self._host = host
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        site = web.UnixSite(runner, host) if host.startswith("/") else web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            where = host if host.startswith("/") else f"{host}:{port}"
            raise StartupError(f"admin: cannot listen on {where}: {error.strerror or error}") from error
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening; requests under way are given up."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @abstractmethod
    async def answer(self, request: web.Request) -> Answer:
        """What is answered to a request that the guard lets in; may raise BadQuery."""

    async def _handle(self, request: web.Request) -> web.Response:
        answer = await self._guarded(request)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        return web.Response(status=answer.status, body=body, headers=_HEADERS | {"content-type": answer.content_type})

    async def _guarded(self, request: web.Request) -> Answer:
        if (reason := refusal(request.path, request.method, request.headers, self._host)) is not None:
            return Answer(body=reason, status=403)
        try:
            return await self.answer(request)
        except BadQuery as error:
            return Answer(body=str(error), status=error.status)
