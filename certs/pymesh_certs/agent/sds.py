"""Envoy's secret discovery service on a Unix socket that only this user may open."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from pymesh import tasks
from pymesh.xds import proto

from ..peer import Context
from . import sockets
from .secrets import DeltaSession, Secrets, Session, SotwSession

_SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"


class SdsServer:
    """Serves `secrets` at `path`: StreamSecrets and DeltaSecrets, each pushed to at every change."""

    def __init__(self, secrets: Secrets, path: Path) -> None:
        self._secrets = secrets
        self._path = path
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, self._methods()),))

    async def start(self) -> None:
        """Listen; raises AgentError when the path cannot be used."""
        sockets.listen(self._server, self._path, "secrets")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def _methods(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":  # the class takes no parameters at run time
        return {
            "StreamSecrets": grpc.stream_stream_rpc_method_handler(
                partial(_answers, SotwSession, self._secrets),
                proto.discovery.DiscoveryRequest.FromString,
                proto.discovery.DiscoveryResponse.SerializeToString,
            ),
            "DeltaSecrets": grpc.stream_stream_rpc_method_handler(
                partial(_answers, DeltaSession, self._secrets),
                proto.discovery.DeltaDiscoveryRequest.FromString,
                proto.discovery.DeltaDiscoveryResponse.SerializeToString,
            ),
        }


async def _answers(kind: type[Session], secrets: Secrets, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    """Whatever the session has to say, after each request and after each change, until the client ends the stream."""
    session = kind(secrets)
    wake = asyncio.Event()
    secrets.watchers.add(wake)
    reading = tasks.spawn(_read(session, requests, wake), name="sds requests")
    try:
        while not reading.done():
            await wake.wait()
            wake.clear()
            if (answer := session.answer()) is not None:
                yield answer
    finally:
        secrets.watchers.discard(wake)
        reading.cancel()


async def _read(session: Session, requests: AsyncIterator[Any], wake: asyncio.Event) -> None:
    try:
        async for request in requests:
            session.request(request)
            wake.set()
    finally:
        wake.set()
