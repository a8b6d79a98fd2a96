"""The static resources of a bootstrap, compiled together so that all their problems come at once."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..errors import ConfigError, Problem
from ..http.options import HttpOptions
from ..listener.config import ListenerConfig
from ..tls.config import SecretValue
from ..upstream.config import ClusterConfig
from .clusters import compile_cluster
from .context import Context
from .http import InlineRoutes
from .listeners import compile_listener
from .secrets import compile_secret

T = TypeVar("T")


def compile_static(bootstrap: Any, ctx: Context) -> tuple[list[ClusterConfig], list[ListenerConfig], list[SecretValue]]:
    """Clusters, listeners and secrets of `static_resources`; raises ConfigError with the problems of all of them."""
    static = bootstrap.static_resources
    problems: list[Problem] = []
    clusters = _all("clusters", static.clusters, lambda message: compile_cluster(message, ctx.services.dns_caches), problems)
    known = {message.name for message in static.clusters}
    listeners = _all("listeners", static.listeners, lambda message: _with_known_clusters(compile_listener(message, ctx), known), problems)
    secrets = _all("secrets", static.secrets, compile_secret, problems)
    for name, messages in (("clusters", static.clusters), ("listeners", static.listeners), ("secrets", static.secrets)):
        problems += _duplicates(name, messages)
    if problems:
        raise ConfigError(*problems)
    return clusters, listeners, secrets


def _all(name: str, messages: Any, build: Callable[[Any], T], problems: list[Problem]) -> list[T]:
    made = []
    for index, message in enumerate(messages):
        where = f"static_resources.{name}[{index}]"
        try:
            made.append(build(message))
        except ConfigError as error:
            problems += [Problem(f"{where}.{item.path}" if item.path else where, item.message) for item in error.problems]
    return made


def _with_known_clusters(listener: ListenerConfig, known: set[str]) -> ListenerConfig:
    """Inline routes of a static listener may name static clusters only, as in Envoy: what CDS will bring is not known yet."""
    problems = [Problem(path, f"unknown cluster {name!r}") for path, name in _clusters_of(listener) if name not in known]
    if problems:
        raise ConfigError(*problems)
    return listener


def _clusters_of(listener: ListenerConfig) -> Iterable[tuple[str, str]]:
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
    yield from _mirrors(where, table)
    for position, host in enumerate(table.virtual_hosts):
        yield from _mirrors(f"{where}.virtual_hosts[{position}]", host)
        for index, route in enumerate(host.routes):
            action = f"{where}.virtual_hosts[{position}].routes[{index}].route"
            if route.route.cluster:
                yield f"{action}.cluster", route.route.cluster
            for entry, share in enumerate(route.route.weighted_clusters.clusters):
                yield f"{action}.weighted_clusters.clusters[{entry}].name", share.name
            yield from _mirrors(action, route.route)


def _mirrors(where: str, level: Any) -> Iterable[tuple[str, str]]:
    for index, policy in enumerate(level.request_mirror_policies):
        if policy.cluster:
            yield f"{where}.request_mirror_policies[{index}].cluster", policy.cluster


def _duplicates(name: str, messages: Any) -> list[Problem]:
    first: dict[str, int] = {}
    return [
        Problem(f"static_resources.{name}[{index}].name", f"{message.name!r} is the name of {name}[{first[message.name]}] already")
        for index, message in enumerate(messages)
        if message.name and first.setdefault(message.name, index) != index
    ]
