"""The application of the tests' meshes: `python tests/app.py --port 8080 --version v1`.

GET /            who answered and what was asked, as JSON
GET /cut         a body that ends with a reset before its length is reached
GET /drip?n=20   n pieces of body, one after another with a breath between, for a request that takes its time
"""

import argparse
import asyncio
import socket
import struct

from aiohttp import web

_BREATH = 0.02  # seconds


def application(version: str) -> web.Application:
    """The routes above."""

    async def who(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return web.json_response({"version": version, "path": request.path, "headers": headers, "body": (await request.read()).decode()})

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"part")
        assert request.transport is not None
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST, not FIN
        request.transport.abort()
        return response

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(int(request.query["n"])):
            await response.write(b"drop\n")
            await asyncio.sleep(_BREATH)
        return response

    routes = web.Application()
    routes.router.add_get("/cut", cut)
    routes.router.add_get("/drip", drip)
    routes.router.add_route("*", "/{path:.*}", who)
    return routes


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    web.run_app(application(arguments.version), host="127.0.0.1", port=arguments.port, print=None, access_log=None)
