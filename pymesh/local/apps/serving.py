"""How every app of the demo starts, tells its health, and ends."""

import argparse
import os
import sys
from collections.abc import Callable

from aiohttp import web

# Applications forward these so that the mesh can join the hops of one request (Istio's list: request id, W3C, B3).
TRACE_HEADERS = (
    "x-request-id", "traceparent", "tracestate", "b3",
    "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
)


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser that knows `--host` and `--port`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    return parser


def serve(make_app: Callable[[], web.Application], options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT, with `/healthz`; a port that cannot be had is a sentence and exit 1."""
    app = make_app()
    app.router.add_get("/healthz", _healthz)
    try:
        web.run_app(app, host=options.host, port=options.port, access_log=None, print=None, shutdown_timeout=1)
    except OSError as error:  # asyncio's own sentence repeats the address
        sys.exit(f"cannot listen on {options.host}:{options.port}: {os.strerror(error.errno or 0)}")


def traced(request: web.Request) -> dict[str, str]:
    """The tracing headers of a request, for the requests it causes."""
    return {name: value for name in TRACE_HEADERS if (value := request.headers.get(name)) is not None}


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")
