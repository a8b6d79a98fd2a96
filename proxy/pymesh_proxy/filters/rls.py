"""Calls of a rate limit service (Envoy's RLS, `envoy.service.ratelimit.v3`) at the endpoints of a cluster."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from pymesh.tasks import spawn
from pymesh.xds import proto

from ..discovery.channel import SecretLookup, secrets_of, to_endpoint
from ..errors import ConfigError, RateLimitServiceError

if TYPE_CHECKING:
    from ..tls.config import SecretValue
    from ..upstream.cluster import Cluster
    from ..upstream.endpoint import Endpoint

_log = logging.getLogger("pymesh.proxy.ratelimit")

CHANNELS = 64
"""Channels that are kept; the one that was opened first is closed for another."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where a rate limit service is."""

    cluster: str
    authority: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A channel, and the secrets that it was opened with."""

    channel: grpc.aio.Channel
    secrets: "tuple[SecretValue | None, ...]"


class RateLimitServices:
    """One process's channels to rate limit services, by endpoint."""

    def __init__(self, clusters: "Mapping[str, Cluster]", secret: SecretLookup) -> None:
        self._clusters = clusters
        self._secret = secret
        self._channels: dict[tuple[Service, Endpoint], _Kept] = {}

    async def should_rate_limit(self, service: Service, request: Any, patience: float) -> Any:
        """A RateLimitResponse; raises RateLimitServiceError when none comes within `patience` seconds (0: as long as it takes)."""
        stub = proto.rls_grpc.RateLimitServiceStub(self._channel(service))
        try:
            response = await stub.ShouldRateLimit(request, timeout=patience or None)
        except grpc.aio.AioRpcError as error:
            raise RateLimitServiceError(f"{service.cluster}: {error.code().name}: {error.details()}") from error
        except asyncio.CancelledError as cancelled:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise RateLimitServiceError(f"{service.cluster}: the channel was closed") from cancelled
        if response is None:  # gRPC's word for one that does not parse
            raise RateLimitServiceError(f"{service.cluster}: the answer is none")
        return response

    def _channel(self, service: Service) -> grpc.aio.Channel:
        cluster = self._clusters.get(service.cluster)
        if cluster is None:
            raise RateLimitServiceError(f"there is no cluster {service.cluster!r}")
        endpoint = cluster.pick()
        if endpoint is None:
            raise RateLimitServiceError(f"{service.cluster}: no healthy upstream")
        secrets = secrets_of(cluster.config, self._secret)
        kept = self._channels.get((service, endpoint))
        if kept is not None and kept.secrets != secrets:  # it would come back with a certificate that has expired by then
            self._close(service, endpoint)
            kept = None
        if kept is None:
            kept = self._channels[service, endpoint] = _Kept(self._open(service, cluster, endpoint), secrets)
            if len(self._channels) > CHANNELS:
                self._close(*next(iter(self._channels)))
        return kept.channel

    def _close(self, service: Service, endpoint: "Endpoint") -> None:
        spawn(self._channels.pop((service, endpoint)).channel.close(grace=1.0), name="rate limit service: close")

    def _open(self, service: Service, cluster: "Cluster", endpoint: "Endpoint") -> grpc.aio.Channel:
        try:
            return to_endpoint(cluster.config, endpoint.config, self._secret, authority=service.authority)
        except ConfigError as error:
            _log.warning("rate limit service %s cannot be reached as configured: %s", service.cluster, error)
            raise RateLimitServiceError(str(error)) from error

    async def close(self) -> None:
        """Give every channel back."""
        channels, self._channels = list(self._channels.values()), {}
        await asyncio.gather(*(kept.channel.close() for kept in channels))
