"""The static resources of a bootstrap, compiled together so that all their problems come at once."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ConfigError, Problem
from ..listener.config import ListenerConfig
from ..tls.config import SecretValue
from ..upstream.config import ClusterConfig
from .clusters import compile_cluster
from .context import Context
from .listeners import compile_listener
from .references import clusters_of
from .secrets import compile_secret

T = TypeVar("T")


def compile_static(bootstrap: Any, ctx: Context) -> tuple[list[ClusterConfig], list[ListenerConfig], list[SecretValue]]:
    """Clusters, listeners and secrets of `static_resources`; raises ConfigError with the problems of all of them."""
    static = bootstrap.static_resources
    problems: list[Problem] = []
    clusters = _all("clusters", static.clusters, compile_cluster, problems)
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
    problems = [Problem(path, f"unknown cluster {name!r}") for path, name in clusters_of(listener) if name not in known]
    if problems:
        raise ConfigError(*problems)
    return listener


def _duplicates(name: str, messages: Any) -> list[Problem]:
    first: dict[str, int] = {}
    return [
        Problem(f"static_resources.{name}[{index}].name", f"{message.name!r} is the name of {name}[{first[message.name]}] already")
        for index, message in enumerate(messages)
        if message.name and first.setdefault(message.name, index) != index
    ]
