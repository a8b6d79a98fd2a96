"""Envoy's secret discovery service on a Unix socket that only this user may open."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from pymesh import tasks
from pymesh.xds import proto

from ..errors import AgentError
from ..peer import Context
from .secrets import DeltaSession, Secrets, Session, SotwSession

_SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
_LONGEST_PATH = 107  # bytes of a Unix socket's address on Linux


class SdsServer:
    """Serves `secrets` at `path`: StreamSecrets and DeltaSecrets, each pushed to at every change."""

    def __init__(self, secrets: Secrets, path: Path) -> None:
        self._secrets = secrets
        self._path = path
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, self._methods()),))

    async def start(self) -> None:
        """Listen; raises AgentError when the path cannot be used."""
        _check(self._path)
        mask = os.umask(0o177)  # the socket is private from the moment it exists
        try:
            self._server.add_insecure_port(f"unix:{self._path}")
        except RuntimeError as error:
            raise AgentError(f"cannot serve secrets at {self._path}: {error}") from None
        finally:
            os.umask(mask)
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


def _check(path: Path) -> None:
    """gRPC would delete a socket that is in the way, and with it take over somebody else's clients."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise AgentError(f"{path} is too long for a Unix socket (at most {_LONGEST_PATH} bytes)")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AgentError(f"{error.filename}: {error.strerror}") from None
    if not path.exists():
        return
    if not path.is_socket():
        raise AgentError(f"{path} is in the way and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise AgentError(f"another process serves secrets at {path}")
