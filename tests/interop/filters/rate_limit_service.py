"""A rate limit service of grpcio and Envoy's own protobufs, which does as the path of a request says and remembers what it was asked."""

import asyncio
from typing import Any

import grpc

from pymesh.xds import proto

Asked = tuple[str, tuple[tuple[tuple[tuple[str, str], ...], int], ...]]
"""The domain, and of each descriptor the entries and how much a hit is (0 if not told)."""


class RateLimitService:
    """`async with RateLimitService() as service`: serves on `service.port` of loopback."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Asked] = []

    async def __aenter__(self) -> "RateLimitService":
        self._server = grpc.aio.server()
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        proto.rls_grpc.add_RateLimitServiceServicer_to_server(self, self._server)
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def ShouldRateLimit(self, request: Any, context: Any) -> Any:  # noqa: N802  the name is gRPC's
        said = tuple((tuple((one.key, one.value) for one in each.entries), each.hits_addend.value) for each in request.descriptors)
        self.asked.append((request.domain, said))
        first = request.descriptors[0].entries[0]
        action = first.value.rpartition("/")[2] if first.key == "do" else "ok"
        if action == "error":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if action == "silent":
            await asyncio.Event().wait()
        return _answer(action)


def _answer(action: str) -> Any:
    made = proto.rls.RateLimitResponse()
    if action == "unknown":
        return made
    over = action.startswith("over")
    made.overall_code = made.OVER_LIMIT if over else made.OK
    made.response_headers_to_add.add(key="X-Service", value=action)
    made.request_headers_to_add.add(key="X-Told", value=action)
    if over:
        made.raw_body = b"enough" if action == "over-body" else b""
    if action == "over-body":
        made.response_headers_to_add.add(key="content-type", value="text/odd")
    for count, unit, left, reset in ((5, made.RateLimit.MINUTE, 3, 17), (9, made.RateLimit.HOUR, 2, 700)):
        status = made.statuses.add(code=made.overall_code, limit_remaining=left)
        status.current_limit.requests_per_unit = count
        status.current_limit.unit = unit
        status.duration_until_reset.seconds = reset
    made.statuses.add(code=made.OK)
    return made
