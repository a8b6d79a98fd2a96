"""A control plane that says exactly what a test tells it to, over real gRPC on a Unix socket."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from pymesh.xds import proto


class Stream:
    """One stream as the test holds it: what the client sent, and the means to answer."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[Any] = asyncio.Queue()
        self._responses: asyncio.Queue[Any] = asyncio.Queue()
        self.metadata: dict[str, str] = {}

    async def heard(self) -> Any:
        """The next request of the client."""
        async with asyncio.timeout(30):
            return await self._requests.get()

    def say(self, response: Any) -> None:
        self._responses.put_nowait(response)

    def cut(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        """End the stream with an error."""
        self._responses.put_nowait(code)

    async def serve(self, requests: Any, context: Any) -> Any:
        self.metadata = dict(context.invocation_metadata())
        reading = asyncio.ensure_future(self._read(requests))  # noqa: TID251  cancelled below
        try:
            while not isinstance(response := await self._responses.get(), grpc.StatusCode):
                yield response
            await context.abort(response, "cut by the test")
        finally:
            reading.cancel()

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            self._requests.put_nowait(request)


class Server(proto.ads_grpc.AggregatedDiscoveryServiceServicer, proto.sds_grpc.SecretDiscoveryServiceServicer):  # type: ignore[misc]
    """Accepts streams of both dialects of ADS and SDS."""

    def __init__(self, directory: Path) -> None:
        self.target = f"unix:{directory}/xds"
        self._streams: asyncio.Queue[Stream] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        proto.ads_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        proto.sds_grpc.add_SecretDiscoveryServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.target)
        await self._server.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End every stream; may be called again."""
        await self._server.stop(None)

    async def accept(self) -> Stream:
        """The next stream that a client opens."""
        async with asyncio.timeout(30):
            return await self._streams.get()

    def _serve(self, requests: Any, context: Any) -> Any:
        stream = Stream()
        self._streams.put_nowait(stream)
        return stream.serve(requests, context)

    async def DeltaAggregatedResources(self, requests: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        async for response in self._serve(requests, context):
            yield response

    async def StreamAggregatedResources(self, requests: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        async for response in self._serve(requests, context):
            yield response

    async def StreamSecrets(self, requests: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        async for response in self._serve(requests, context):
            yield response
