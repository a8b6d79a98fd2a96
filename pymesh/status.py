"""The status port (Istio's 15020): what a kubelet, Prometheus and the pod itself ask a sidecar, answered from the proxy's admin
interface. The same beside our proxy and beside a real Envoy.
"""

import ipaddress
import os
import signal
from collections.abc import Callable

import aiohttp
from aiohttp import web

from .bootstrap.environment import Settings

TIMEOUT = 10.0
"""Seconds for the admin interface to answer: Prometheus' default scrape timeout."""


def terminate() -> None:
    """Ask this process to leave in order."""
    os.kill(os.getpid(), signal.SIGTERM)


class StatusPort:
    """Listens at the status port. `leave` is what /quitquitquit does; `ready` answers where there is no proxy to be asked."""

    def __init__(self, settings: Settings, leave: Callable[[], None] = terminate, ready: Callable[[], bool] | None = None) -> None:
        self._hosts, self._port = settings.listen_hosts, settings.proxy.status_port
        self._admin = f"http://127.0.0.1:{settings.proxy.proxy_admin_port}"
        self._leave = leave
        self._well = ready
        app = web.Application()
        app.router.add_get("/healthz/ready", self._ready)
        if ready is None:
            app.router.add_get("/stats/prometheus", self._metrics)
            app.router.add_get("/metrics", self._metrics)
            app.router.add_post("/drain", self._drain)
        app.router.add_post("/quitquitquit", self._quit)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Listen. Raises OSError, whose text says where."""
        self._session = aiohttp.ClientSession(self._admin, timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        await self._runner.setup()
        for host in self._hosts:
            await web.TCPSite(self._runner, host, self._port).start()

    async def stop(self) -> None:
        """Stop listening; requests under way are given up."""
        await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _ready(self, _request: web.Request) -> web.Response:
        """200 or 503, nothing else: a probe distinguishes no more."""
        if self._well is not None:
            return web.Response(status=200 if self._well() else 503)
        answer = await self._ask("GET", "/ready")
        answer.set_status(200 if answer.status == 200 else 503)
        return answer

    async def _metrics(self, _request: web.Request) -> web.Response:
        return await self._ask("GET", "/stats/prometheus")

    async def _drain(self, request: web.Request) -> web.Response:
        """Clients are asked to go elsewhere; what they began is finished, and the process stays."""
        _local_only(request)
        return await self._ask("POST", "/drain_listeners?graceful&inboundonly")

    async def _quit(self, request: web.Request) -> web.Response:
        """For jobs whose work is done: the sidecar leaves as on SIGTERM."""
        _local_only(request)
        self._leave()
        return web.Response(text="OK\n")

    async def _ask(self, method: str, target: str) -> web.Response:
        assert self._session is not None, "start() comes first"
        try:
            async with self._session.request(method, target) as answer:
                kind = answer.headers.get("content-type", "text/plain")
                return web.Response(status=answer.status, body=await answer.read(), headers={"content-type": kind})
        except (aiohttp.ClientError, TimeoutError) as error:
            return web.Response(status=503, text=f"the proxy's admin interface does not answer: {error or 'timeout'}\n")


def _local_only(request: web.Request) -> None:
    """What changes something is for processes of this machine, and not for a page that a browser on it has open."""
    if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback or "Origin" in request.headers:
        raise web.HTTPForbidden(text="only processes of this machine may ask for that\n")
