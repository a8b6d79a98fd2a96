"""The HTTP side of the admin interface: an address, a guard, Envoy's headers; what is answered is somebody else's business."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from ..errors import StartupError
from .facts import Answer, BadQuery
from .guard import refusal

_HEADERS = {"cache-control": "no-cache, max-age=0", "x-content-type-options": "nosniff", "server": "envoy"}


class Door:
    """Listens on one address and answers with what `answer` makes of a request."""

    def __init__(self, answer: Callable[[web.Request], Awaitable[Answer]]) -> None:
        self._make = answer
        self._host = ""
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The bound address, once open; the path and 0 for a Unix socket."""
        assert self._runner is not None, "open() comes first"
        name = self._runner.addresses[0]
        return (name, 0) if isinstance(name, str) else (name[0], name[1])

    async def open(self, host: str, port: int) -> None:
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

    async def close(self) -> None:
        """Stop listening; requests under way are given up."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        answer = await self._answer(request)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        return web.Response(status=answer.status, body=body, headers=_HEADERS | {"content-type": answer.content_type})

    async def _answer(self, request: web.Request) -> Answer:
        if (reason := refusal(request.path, request.method, request.headers, self._host)) is not None:
            return Answer(body=reason, status=403)
        try:
            return await self._make(request)
        except BadQuery as error:
            return Answer(body=str(error), status=error.status)
