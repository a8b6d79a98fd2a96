"""Secrets from services of their own (Envoy's SDS outside ADS): one stream to each service, for as long as it is needed."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from pymesh.tasks import spawn
from pymesh.xds import types

from .client import SDS, Client
from .configuration import Configuration
from .source import GrpcSource
from .status import Status, StreamStatus
from .subscription import Update


class SecretStreams:
    """Keeps one client for each service that some cluster or listener fetches secrets from."""

    def __init__(
        self, configuration: Configuration, open_channel: Callable[[GrpcSource, int], grpc.aio.Channel], node: Any, status: Status
    ) -> None:
        self._configuration = configuration
        self._open_channel = open_channel
        self._node = node
        self._status = status
        self._streams: dict[GrpcSource, tuple[Client, asyncio.Task[Any]]] = {}

    def refresh(self) -> None:
        """Start the streams that are wanted, end those that are not, tell the others what is wanted now."""
        wanted = self._configuration.wanted_secrets()
        for source in self._streams.keys() - wanted.keys():
            self._streams.pop(source)[1].cancel()
        for source in wanted:
            if source in self._streams:
                self._streams[source][0].refresh()
            else:
                client = self._client(source)
                self._streams[source] = client, spawn(client.run(), name=f"sds {source.cluster or source.target}")

    def close(self) -> None:
        """End every stream."""
        for _, task in self._streams.values():
            task.cancel()
        self._streams.clear()

    def _client(self, source: GrpcSource) -> Client:
        return Client(
            source,
            open_channel=self._open_channel,
            methods=SDS,
            subscribe=(types.SECRET,),
            consumer=_OneService(self._configuration, source),
            node=self._node,
            status=self._status,
            stream=StreamStatus(),
            name=f"sds {source.cluster or source.target}",
        )


class _OneService:
    """The configuration as one secret service sees it."""

    def __init__(self, configuration: Configuration, source: GrpcSource) -> None:
        self._configuration = configuration
        self._source = source

    def wanted(self, type_url: str) -> frozenset[str] | None:
        return self._configuration.wanted_secrets().get(self._source, frozenset()) if type_url == types.SECRET else None

    async def prepare(self, update: Update) -> Mapping[str, Any]:
        return await self._configuration.prepare(update)

    async def apply(self, update: Update, prepared: Mapping[str, Any]) -> None:
        await self._configuration.apply(update, prepared)

    async def settle(self) -> None:
        await self._configuration.settle()
