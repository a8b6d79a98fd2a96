"""The public admin address of a proxy with several workers: every worker is asked, the answer is their sum.

Requests that change something go to all workers as well; what describes the configuration is the same everywhere and
comes from the first.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from .errors import StartupError
from .observe import merge

_log = logging.getLogger("pymesh.proxy.front")

PATIENCE = 10.0
"""Seconds that a worker has for its answer; one that is just being started again has none."""

_HEADERS = ("content-type", "cache-control", "x-content-type-options")


@dataclass(frozen=True, slots=True)
class Answer:
    """One worker's answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def combine(path: str, form: str, answers: Sequence[Answer]) -> Answer:
    """The answer for all: `path` and `form` (the query's `format`) are the request's, at least one worker has answered."""
    first = answers[0]
    if any(answer.status != first.status for answer in answers) and path != "/ready":
        return max(answers, key=lambda answer: answer.status)
    if path == "/ready":
        status, text = merge.ready((answer.status, answer.text) for answer in answers)
        return Answer(status, first.headers, text.encode())
    if path == "/stats/prometheus" or (path, form) == ("/stats", "prometheus"):
        return Answer(first.status, first.headers, merge.prometheus(answer.body for answer in answers))
    adder = _ADDERS.get((path, form))
    if adder is None or first.status != 200:
        return first
    return Answer(first.status, first.headers, adder([answer.text for answer in answers]).encode())


_ADDERS: dict[tuple[str, str], Callable[[list[str]], str]] = {
    ("/stats", ""): merge.stats_text,
    ("/stats", "text"): merge.stats_text,
    ("/stats", "json"): merge.stats_json,
    ("/clusters", ""): merge.clusters_text,
    ("/clusters", "text"): merge.clusters_text,
    ("/clusters", "json"): merge.clusters_json,
    ("/server_info", ""): merge.server_info,
}


class Front:
    """Serves the admin interface of all workers."""

    def __init__(self, sockets: Sequence[Path]) -> None:
        """`sockets` are the workers' own admin addresses."""
        self._sockets = sockets
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on an address, or on a Unix socket when `host` is a path; raises StartupError."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site: web.BaseSite = web.UnixSite(self._runner, host) if host.startswith("/") else web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise StartupError(f"admin: cannot bind {host}:{port}: {error.strerror}") from error

    async def stop(self) -> None:
        """Close the address."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        asked = await asyncio.gather(*(self._ask(socket, request) for socket in self._sockets))
        answers = [answer for answer in asked if answer is not None]
        if not answers:
            return web.Response(status=503, text="no worker answers\n")
        answer = combine(request.path, request.query.get("format", ""), answers)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _ask(self, socket: Path, request: web.Request) -> Answer | None:
        url = URL(f"http://worker{request.raw_path}", encoded=True)
        body = await request.read()
        connector = aiohttp.UnixConnector(str(socket))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
                session.request(request.method, url, data=body) as response,
            ):
                headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
                return Answer(response.status, headers, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("%s does not answer: %s", socket.name, error)
            return None
