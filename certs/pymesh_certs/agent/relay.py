"""xDS for the Envoy beside the agent: passed on as it is, with the workload's health told in between (as Istio's agent does).

Each stream of Envoy's has a connection of its own to the control plane. When one side ends, so does the other: it is Envoy that decides
when to try again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from pymesh import tasks
from pymesh.bootstrap.environment import Settings
from pymesh.xds import als, proto, types

from ..peer import Context
from ..workload import Bundle
from . import sockets

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_DIALECTS = {
    "StreamAggregatedResources": proto.discovery.DiscoveryRequest,
    "DeltaAggregatedResources": proto.discovery.DeltaDiscoveryRequest,
}
_UNLIMITED = [("grpc.max_receive_message_length", -1)]
"""Envoy has no limit on a message; 4 MiB, gRPC's default, is less than a large mesh's clusters."""

_OPTIONS = [
    *_UNLIMITED,
    ("grpc.use_local_subchannel_pool", 1),  # a connection for each stream, made with the certificate of that moment
    ("grpc.keepalive_time_ms", 30_000),  # a control plane whose machine vanished sends no FIN
    ("grpc.keepalive_timeout_ms", 10_000),
]
GOODBYE = 1.0
"""Seconds in which a stream that works takes a last message."""


def control_plane(settings: Settings, current: Callable[[], Bundle]) -> Callable[[], grpc.aio.Channel]:
    """What opens a channel to the control plane that these settings name, under mutual TLS with the current certificate.

    Raises OSError where the root to verify the server by cannot be read.
    """
    target = f"dns:///{settings.discovery}"

    def open_channel() -> grpc.aio.Channel:
        if not settings.discovery_tls:
            return grpc.aio.insecure_channel(target, options=_OPTIONS)
        bundle = current()
        roots = settings.discovery_root.read_bytes()
        credentials = grpc.ssl_channel_credentials(roots, bundle.key_pem, bundle.chain_pem)
        return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)

    return open_channel


class Relay:
    """Serves the aggregated discovery service, and that for access logs, at `path`: each stream is passed on over a channel of its own."""

    def __init__(self, open_channel: Callable[[], grpc.aio.Channel], path: Path) -> None:
        self._open_channel = open_channel
        self._path = path
        self._unwell = ""
        self._streams: set[_Upward] = set()
        self._server = grpc.aio.server(options=_UNLIMITED)
        logs: grpc.RpcMethodHandler[Any, Any] = grpc.stream_unary_rpc_method_handler(self._pass_logs_on)
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(_SERVICE, self._methods()),
                grpc.method_handlers_generic_handler(als.SERVICE, {als.METHOD: logs}),
            )
        )

    def __repr__(self) -> str:
        return f"<Relay {self._path} {len(self._streams)} streams {self._unwell or 'well'}>"

    async def start(self) -> None:
        """Listen; raises AgentError when the path cannot be used."""
        sockets.listen(self._server, self._path, "xDS")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def feel(self, reason: str) -> None:
        """The workload is unwell for a reason, or well again where that is empty: the control plane is told, now and on later streams."""
        self._unwell = reason
        for stream in self._streams:
            stream.tell(reason)

    async def say_unwell(self, reason: str) -> None:
        """The same, and wait until it is on its way, where there is a stream that it can take."""
        self.feel(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await asyncio.gather(*(stream.flushed() for stream in self._streams))

    def _methods(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":  # the class takes no parameters at run time
        return {name: grpc.stream_stream_rpc_method_handler(partial(self._pass_on, name)) for name in _DIALECTS}

    async def _pass_on(self, name: str, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        try:
            async with self._open_channel() as channel, contextlib.aclosing(self._answers(channel, name, requests)) as answers:
                async for response in answers:
                    yield response
        except OSError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")

    async def _pass_logs_on(self, messages: AsyncIterator[bytes], context: Context) -> bytes:
        """What Envoy reports to the control plane; it tries again by itself when that is gone."""
        try:
            async with self._open_channel() as channel:
                call: Any = channel.stream_unary(f"/{als.SERVICE}/{als.METHOD}")
                answer: bytes = await call(messages)
                return answer
        except OSError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")
        raise AssertionError("abort does not return")

    async def _answers(self, channel: grpc.aio.Channel, name: str, requests: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """What the control plane says to Envoy's requests. Raises AioRpcError when it ends the stream with one."""
        upward = _Upward(_DIALECTS[name], lambda: self._unwell)
        call: Any = channel.stream_stream(f"/{_SERVICE}/{name}")
        reading = tasks.spawn(upward.read(requests), name="xds requests")
        self._streams.add(upward)
        try:
            async for response in call(upward.messages()):
                yield response
        finally:
            self._streams.discard(upward)
            reading.cancel()


class _Upward:
    """What goes to the control plane on one stream. Bounded by Envoy's own: it says something after each response and each change."""

    def __init__(self, request_class: Any, unwell: Callable[[], str]) -> None:
        self._request_class = request_class
        self._unwell = unwell
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._began = False

    async def read(self, requests: AsyncIterator[bytes]) -> None:
        """Take what Envoy says until it has said everything. Its node comes first, and the health of its workload even before."""
        try:
            async for request in requests:
                if not self._began:
                    self._begin(request)
                self._outbox.put_nowait(request)
        finally:
            self._outbox.put_nowait(None)

    def _begin(self, first: bytes) -> None:
        self._began = True
        if reason := self._unwell():
            self._put(reason, node=self._request_class.FromString(first).node)

    def tell(self, reason: str) -> None:
        """Say on a stream that has begun how the workload is; others begin with it."""
        if self._began:
            self._put(reason)

    def _put(self, reason: str, node: Any = None) -> None:
        problem = {"code": grpc.StatusCode.UNAVAILABLE.value[0], "message": reason} if reason else None
        self._outbox.put_nowait(self._request_class(node=node, type_url=types.HEALTH, error_detail=problem).SerializeToString())

    async def flushed(self) -> None:
        await self._outbox.join()

    async def messages(self) -> AsyncIterator[bytes]:
        while (message := await self._outbox.get()) is not None:
            yield message
            self._outbox.task_done()
        self._outbox.task_done()
