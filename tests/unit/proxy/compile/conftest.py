"""YAML snippets into protobufs, and a process that only remembers what it was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from google.protobuf import json_format

from pymesh.xds import proto
from pymesh_proxy.compile.context import Context, LogFormat
from pymesh_proxy.errors import ConfigError, Problem
from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.http.route_slot import RouteSlot

MESSAGES = {
    "bootstrap": proto.bootstrap.Bootstrap,
    "cluster": proto.cluster.Cluster,
    "endpoints": proto.endpoint.ClusterLoadAssignment,
    "listener": proto.listener.Listener,
    "routes": proto.route.RouteConfiguration,
    "secret": proto.secret.Secret,
}


@dataclass
class Watcher:
    """An access log or metrics that were asked for."""

    what: Any

    def http(self, exchange):
        """Nothing to write in these tests."""

    def tcp(self, session):
        """Nothing to write in these tests."""


@dataclass
class Process:
    """The context's callables, with what they were called with."""

    slots: dict[str, RouteSlot] = field(default_factory=dict)
    logs: list[tuple[str, LogFormat]] = field(default_factory=list)
    stats: list[str] = field(default_factory=list)

    def log(self, path: str, log_format: LogFormat) -> Watcher:
        self.logs.append((path, log_format))
        return Watcher(path)

    def metrics(self, direction: str) -> Watcher:
        self.stats.append(direction)
        return Watcher(direction)

    @property
    def context(self) -> Context:
        return Context(
            route_slot=lambda name: self.slots.setdefault(name, RouteSlot(name)),
            http_stats=lambda prefix: HttpStats(prefix=prefix),
            file_log=self.log,
            istio_stats=self.metrics,
            peer_metadata=lambda direction: f"peer metadata {direction}",  # type: ignore[arg-type,return-value]
            service_cluster="shop",
            service_node="shop-1",
        )


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def ctx(process: Process) -> Context:
    return process.context


@pytest.fixture
def parse() -> Callable[[str, str], Any]:
    """A message from its kind and YAML."""
    return lambda kind, text: json_format.ParseDict(yaml.safe_load(text), MESSAGES[kind]())


@pytest.fixture
def problems() -> Callable[..., dict[str, str]]:
    """The problems that compiling something raises, by path."""

    def collect(compile_it: Callable[..., Any], *args: Any) -> dict[str, str]:
        with pytest.raises(ConfigError) as raised:
            compile_it(*args)
        found: tuple[Problem, ...] = raised.value.problems
        return {problem.path: problem.message for problem in found}

    return collect
