"""What a listener or cluster waits for before it can serve: routes and secrets that other resources bring."""

from collections.abc import Iterable
from typing import Any

from ..http.options import HttpOptions
from ..listener.config import FilterChain, ListenerConfig
from ..tls.config import DownstreamTls, UpstreamTls
from ..upstream.config import ClusterConfig
from .http import InlineRoutes


def routes_of(listener: ListenerConfig) -> set[str]:
    """The RDS names of a listener's connection managers; inline routes are no reference."""
    managers = (chain.terminal for chain in _chains(listener))
    return {manager.route.name for manager in managers if isinstance(manager, HttpOptions) and not isinstance(manager.route, InlineRoutes)}


def secrets_of(resource: ListenerConfig | ClusterConfig) -> set[str]:
    """The SDS names of every TLS context of a listener or cluster."""
    return {name for tls in _contexts(resource) if tls is not None for name in _names(tls) if name}


def clusters_of(listener: ListenerConfig) -> Iterable[tuple[str, str]]:
    """(path, cluster) of every cluster that a listener's inline routes name, but for tables that say `validate_clusters: false`."""
    for index, chain in enumerate(listener.chains):
        manager = chain.terminal
        if isinstance(manager, HttpOptions) and isinstance(manager.route, InlineRoutes) and manager.route.table:
            filters = len(listener.source.filter_chains[index].filters)
            where = f"filter_chains[{index}].filters[{filters - 1}].typed_config.route_config"
            yield from _named_clusters(where, manager.route.table.source)


def _named_clusters(where: str, table: Any) -> Iterable[tuple[str, str]]:
    if table.HasField("validate_clusters") and not table.validate_clusters.value:
        return
    for position, host in enumerate(table.virtual_hosts):
        for index, route in enumerate(host.routes):
            action = f"{where}.virtual_hosts[{position}].routes[{index}].route"
            if route.route.cluster:
                yield f"{action}.cluster", route.route.cluster
            for entry, share in enumerate(route.route.weighted_clusters.clusters):
                yield f"{action}.weighted_clusters.clusters[{entry}].name", share.name


def _chains(listener: ListenerConfig) -> Iterable[FilterChain]:
    return listener.chains if listener.default_chain is None else (*listener.chains, listener.default_chain)


def _contexts(resource: ListenerConfig | ClusterConfig) -> Iterable[DownstreamTls | UpstreamTls | None]:
    if isinstance(resource, ListenerConfig):
        return (chain.tls for chain in _chains(resource))
    return (resource.tls, *(match.tls for match in resource.transport_matches))


def _names(tls: DownstreamTls | UpstreamTls) -> Iterable[str]:
    return (*(source.secret for source in tls.certificates), tls.validation.secret)
