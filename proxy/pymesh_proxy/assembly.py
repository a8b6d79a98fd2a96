"""The one place where the rooms of the data plane are put together: runtime, compilers, logs, metrics and admin."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from pymesh.xds import types

from .bootstrap.plan import Plan
from .compile.bootstrap import compile_static
from .compile.clusters import compile_cluster
from .compile.context import Context
from .compile.endpoints import compile_assignment
from .compile.listeners import compile_listener
from .compile.routes import compile_routes
from .compile.secrets import compile_secret
from .discovery.references import grpc_services, references_of
from .discovery.roster import Held
from .discovery.target import Compilers
from .errors import ConfigError, Problem
from .filters.peer_metadata import PeerMetadata
from .filters.rls import RateLimitServices
from .filters.services import Services
from .observe.access_log import Sinks, judged, rehearse
from .observe.istio import IstioRegistry
from .observe.peers import peer_of
from .runtime import Runtime
from .tls.config import SecretValue
from .upstream.locality import Place
from .upstream.zones import LocalCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The parts of one worker."""

    runtime: Runtime
    sinks: Sinks
    istio: IstioRegistry
    context: Context
    rate_limit_services: RateLimitServices

    @property
    def compilers(self) -> Compilers:
        """By type URL, for discovery."""
        return {
            types.CLUSTER: lambda message: compile_cluster(message, self.context.services.dns_caches),
            types.ENDPOINT: compile_assignment,
            types.LISTENER: lambda message: compile_listener(message, self.context),
            types.ROUTE: compile_routes,
            types.SECRET: compile_secret,
        }

    def compile(self, bootstrap: Any) -> "Static":
        """The bootstrap's own resources; raises ConfigError with every problem in all of them."""
        services = grpc_services(bootstrap)
        bootstrap = _without_http2(bootstrap, services)
        clusters, listeners, secrets = compile_static(bootstrap, self.context)
        resources = bootstrap.static_resources
        return Static(
            clusters=_hold(zip(resources.clusters, clusters, strict=True), "clusters", services),
            listeners=_hold(zip(resources.listeners, listeners, strict=True), "listeners"),
            secrets=tuple(secrets),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """Static resources, ready for the runtime."""

    clusters: tuple[Held, ...] = ()
    listeners: tuple[Held, ...] = ()
    secrets: tuple[SecretValue, ...] = ()


def assemble(plan: Plan, *, concurrency: int, principal: str = "", serving: bool = True) -> Assembly:
    """Put a worker together inside a running loop; nothing is opened. `principal` is our SPIFFE id, when known.

    One that is not `serving` judges configurations only, and opens no access log for them either.
    """
    runtime = Runtime(asyncio.get_running_loop(), node=plan.node, concurrency=concurrency)
    sinks = Sinks()
    if plan.outlier_log:
        runtime.clusters.outlier_log = sinks.file(plan.outlier_log).write if serving else judged(plan.outlier_log)
    if plan.local_cluster:
        runtime.clusters.local = LocalCluster(plan.local_cluster, _place(plan.node))
    metadata = json_format.MessageToDict(plan.node.metadata)
    istio = IstioRegistry(peer_of(metadata), principal=principal, host_fallback=not plan.node.id.startswith("router~"))
    asked = RateLimitServices(runtime.clusters.by_name, runtime.secrets.get)
    context = Context(
        route_slot=runtime.routes.slot,
        http_stats=runtime.http_stats,
        file_log=sinks.log if serving else rehearse,
        istio_stats=istio.of,
        peer_metadata=PeerMetadata(plan.node.id, metadata).filter,
        services=_services(runtime, plan, asked),
        service_cluster=plan.node.cluster,
        service_node=plan.node.id,
    )
    return Assembly(runtime=runtime, sinks=sinks, istio=istio, context=context, rate_limit_services=asked)


def _place(node: Any) -> Place | None:
    return (node.locality.region, node.locality.zone, node.locality.sub_zone) if node.HasField("locality") else None


def _services(runtime: Runtime, plan: Plan, asked: RateLimitServices) -> Services:
    return Services(
        counts=runtime.filter_counts,
        dns_caches=runtime.dns_caches,
        clock=runtime.loop.time,
        sleep=runtime.sleep,
        own_cluster=plan.node.cluster,
        workers=runtime.concurrency,
        ask_rate_limit=asked.should_rate_limit,
    )


def _without_http2(bootstrap: Any, services: frozenset[str]) -> Any:
    """The bootstrap with its xDS services' HTTP/2 settings left out: gRPC's own client speaks to them, not our pools."""
    plain = type(bootstrap)()
    plain.CopyFrom(bootstrap)
    for cluster in plain.static_resources.clusters:
        if cluster.name in services:
            cluster.ClearField("typed_extension_protocol_options")
    return plain


def _hold(pairs: Iterable[tuple[Any, Any]], name: str, services: frozenset[str] = frozenset()) -> tuple[Held, ...]:
    held: list[Held] = []
    problems: list[Problem] = []
    for index, (message, config) in enumerate(pairs):
        try:
            references = () if config.name in services else references_of(message)
            held.append(Held(name=config.name, message=message, config=config, references=references, static=True))
        except ConfigError as error:
            problems += [Problem(f"static_resources.{name}[{index}].{one.path}", one.message) for one in error.problems]
    if problems:
        raise ConfigError(*problems)
    return tuple(held)
