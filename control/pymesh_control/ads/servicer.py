"""The gRPC shell of ADS: admits a client, runs its stream, and turns our refusals into status codes."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from pymesh.xds import proto

from ..errors import InvalidClient, PermissionDenied, RefusedClient, SlowClient, TooManyClients, Unauthenticated
from ..metrics import Metrics
from .admission import Admit
from .clients import Clients
from .delta import DeltaSession
from .response import Response
from .session import Session
from .sotw import SotwSession

STATUS = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    InvalidClient: grpc.StatusCode.INVALID_ARGUMENT,
    TooManyClients: grpc.StatusCode.RESOURCE_EXHAUSTED,
    SlowClient: grpc.StatusCode.DEADLINE_EXCEEDED,
}

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that another process serves is taken, also if that is gRPC too
    ("grpc.keepalive_time_ms", 30_000),  # Istio's keepaliveInterval; finds clients that vanished without a word
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # the same for the answer to a ping, for which gRPC would wait a minute
    ("grpc.http2.min_ping_interval_without_data_ms", 15_000),  # Envoy's and Istio's clients ping too; more often is abuse
)

_log = logging.getLogger("pymesh.ads")
Context = grpc.aio.ServicerContext[Any, Any]


class AdsServicer:
    """Both methods of AggregatedDiscoveryService, for one port: `admit` holds that port's rule."""

    def __init__(self, clients: Clients, admit: Admit, metrics: Metrics) -> None:
        self._clients = clients
        self._admit = admit
        self._metrics = metrics

    async def state_of_the_world(self, requests: AsyncIterator[Any], context: Context) -> None:
        await self._serve(SotwSession, requests, context)

    async def delta(self, requests: AsyncIterator[Any], context: Context) -> None:
        await self._serve(DeltaSession, requests, context)

    async def _serve(self, form: type[Session], requests: AsyncIterator[Any], context: Context) -> None:
        try:
            await self._run(form, requests, context)
        except RefusedClient as refusal:
            _log.warning("stream of %s refused: %s", context.peer(), refusal)
            await context.abort(STATUS[type(refusal)], str(refusal))
        except grpc.aio.BaseError as error:
            _log.debug("stream of %s is gone: %s", context.peer(), error)
        except Exception:  # noqa: BLE001  the stream ends here; the others go on
            self._metrics.internal_errors.inc()
            _log.exception("stream of %s failed", context.peer())
            await context.abort(grpc.StatusCode.INTERNAL, "the control plane failed to answer; its log says why")

    async def _run(self, form: type[Session], requests: AsyncIterator[Any], context: Context) -> None:
        first = await anext(aiter(requests), None)
        if first is None:
            return
        if not first.node.id:
            raise InvalidClient("the first request of a stream must carry the node with its id")
        identity = self._admit(context.peer(), first.node)
        with self._clients.joined(form, first.node, identity) as stream:
            await stream.serve(first, requests, context.write)


def server(clients: Clients, admit: Admit, metrics: Metrics) -> grpc.aio.Server:
    """A gRPC server that offers ADS; ports are still to be added."""
    servicer = AdsServicer(clients, admit, metrics)
    forms = {
        "StreamAggregatedResources": (servicer.state_of_the_world, proto.discovery.DiscoveryRequest),
        "DeltaAggregatedResources": (servicer.delta, proto.discovery.DeltaDiscoveryRequest),
    }
    methods = {
        name: grpc.stream_stream_rpc_method_handler(serve, request.FromString, Response.serialized)
        for name, (serve, request) in forms.items()
    }
    made = grpc.aio.server(options=OPTIONS)
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    return made
