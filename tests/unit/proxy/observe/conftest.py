"""Exchanges and sessions as the connections leave them behind, for the tests of what observes them."""

from types import SimpleNamespace
from typing import Any

import pytest

from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import Fields, RequestHead, ResponseHead
from pymesh_proxy.http.options import HttpOptions, HttpStats
from pymesh_proxy.http.route_slot import RouteSlot
from pymesh_proxy.listener.config import FilterChain, ListenerConfig
from pymesh_proxy.listener.scope import Counts, Scope
from pymesh_proxy.tcp.session import Session
from pymesh_proxy.upstream.cluster import Cluster
from pymesh_proxy.upstream.config import ClusterConfig, Discovery, EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint

WALL = 1_700_000_000.123456
"""2023-11-14T22:13:20.123456Z."""


def downstream(**facts: Any) -> Downstream:
    return Downstream(**{"remote_address": "10.0.0.1:40000", "local_address": "10.0.0.2:8080"} | facts)


def exchange(
    path: bytes = b"/items?x=1", fields: Fields | None = None, *, response: Fields | None = None, status: int = 200, **facts: Any
) -> Exchange:
    """A GET that was answered with `status`; `facts` are attributes of the exchange, `downstream` among them."""
    made = Exchange(facts.pop("downstream", downstream()), RequestHead(b"GET", path, b"shop.example", fields or []), 100.0, WALL)
    made.status = status
    made.response = ResponseHead(status, response or [])
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def session(**facts: Any) -> Session:
    return Session(**{"downstream": downstream(), "started": 100.0, "started_wall": WALL, "ended": 101.5} | facts)


class Thing:
    """A run-time object with a configuration and counters, compared by identity as those are."""

    def __init__(self, **facts: Any) -> None:
        self.__dict__.update(facts)


def endpoint(host: str = "10.1.1.1", port: int = 80, **config: Any) -> Any:
    """A run-time endpoint."""
    return Endpoint(EndpointConfig(host=host, port=port, **config), None)


def cluster(
    name: str, counters: dict[str, int] | None = None, *, connections: int = 0, requests: int = 0, endpoints: Any = (), **config: Any
) -> Any:
    """A run-time cluster with so much in flight."""
    made = Cluster(ClusterConfig(name=name, **{"discovery": Discovery.STATIC} | config), None, ())
    made.endpoints = list(endpoints)
    made.rebalance()
    for counter, value in (counters or {}).items():
        setattr(made, counter, value)
    made.breaker.connections, made.breaker.requests = connections, requests
    return made


def listener(name: str, host: str = "127.0.0.1", port: int = 8080, *, stats: HttpStats | None = None, **config: Any) -> Any:
    """A run-time listener with one HTTP filter chain."""
    http = HttpOptions(route=RouteSlot(f"{name}-routes"), stats=stats or HttpStats(prefix="p"))
    chain = FilterChain(name="c", terminal=http)
    made = ListenerConfig(name=name, host=host, port=port, **{"chains": (chain,), "matcher": NoChain()} | config)
    return RunningListener(made)


class RunningListener:
    """The connections and counters of a listener."""

    def __init__(self, config: ListenerConfig) -> None:
        self.config = config
        self.bound = None
        self.counts = Counts()
        self.scopes = [Scope(config.name, config.direction, 0, self.counts)]


class NoChain:
    """A matcher that is never asked."""

    def find(self, traits: Any) -> None:
        raise AssertionError("no connection is matched here")


def runtime(clusters: Any = (), listeners: Any = (), **facts: Any) -> Any:
    """A runtime that serves nothing."""
    nothing = {
        "all_http_stats": [], "dns_caches": [], "filter_counts": [], "concurrency": 1, "node": None, "routes": [], "secrets": [],
        "started_wall": WALL,
    }  # fmt: skip
    nothing["dns"] = None
    return Thing(clusters=clusters, listeners=listeners, **nothing | facts)


@pytest.fixture
def make() -> SimpleNamespace:
    """The makers of subjects: `make.exchange(...)`, `make.session(...)` and their parts."""
    return SimpleNamespace(
        cluster=cluster, downstream=downstream, endpoint=endpoint, exchange=exchange, listener=listener, runtime=runtime, session=session
    )
