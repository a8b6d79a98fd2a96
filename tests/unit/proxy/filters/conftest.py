"""Filters by their configuration, one exchange in front of them, and a whole mesh in memory that has them."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format

from pymesh.xds import proto
from pymesh_proxy.compile.context import Context
from pymesh_proxy.compile.fields import compiled
from pymesh_proxy.compile.http_filters import filter_chain
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.filters.services import Services
from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import RequestHead, ResponseHead
from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.http.route_slot import RouteSlot
from pymesh_proxy.testing import Mesh

FILTERS = "type.googleapis.com/envoy.extensions.filters.http."
ROUTER = {"name": "router", "typed_config": {"@type": f"{FILTERS}router.v3.Router"}}


def typed(kind: str, **fields: Any) -> dict[str, Any]:
    """An `Any` in JSON, by its type behind envoy.extensions.filters.http."""
    return {"@type": FILTERS + kind, **fields}


def head(method: bytes = b"GET", path: bytes = b"/", **headers: str) -> RequestHead:
    """A request; underscores in headers' names stand for dashes."""
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return RequestHead(method, path, b"a.com", [(b"host", b"a.com"), *fields])


def exchange(request: RequestHead | None = None, **facts: Any) -> Exchange:
    """An exchange that has not been answered."""
    made = Exchange(Downstream(remote_address="192.0.2.7:40000", local_address="192.0.2.1:8080"), request or head(), 0.0, 0.0)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def answer(status: int = 200, *fields: tuple[bytes, bytes]) -> ResponseHead:
    return ResponseHead(status, list(fields))


def context(services: Services) -> Context:
    """A process's side of compilation, with these services for filters."""
    nothing: Any = None
    return Context(
        route_slot=RouteSlot,
        http_stats=lambda prefix: HttpStats(prefix=prefix),
        file_log=nothing,
        istio_stats=nothing,
        peer_metadata=nothing,
        services=services,
    )


def chain_of(services: Services, **configs: Any) -> Any:
    """A manager's chain of filters by name; their prefix is `p`."""
    entries = [{"name": name, "typed_config": config} for name, config in configs.items()]
    fields = {"stat_prefix": "p", "route_config": {}, "http_filters": [*entries, ROUTER]}
    manager = json_format.ParseDict(fields, proto.hcm.HttpConnectionManager())
    return compiled(manager, lambda reader: filter_chain(reader, context(services), "")).filters


def table_of(*routes: dict[str, Any], **host: Any) -> Any:
    """A route table of one virtual host."""
    hosts = [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route} for route in routes], **host}]
    return compile_routes(json_format.ParseDict({"name": "test", "virtual_hosts": hosts}, proto.route.RouteConfiguration()))


@pytest.fixture
def mesh() -> Callable[..., Mesh]:
    """A mesh with filters by name, whose routes all lead to `up`."""

    def make(*routes: dict[str, Any], host: dict[str, Any] | None = None, **configs: Any) -> Mesh:
        made = Mesh()
        runtime = made.runtime
        services = Services(counts=runtime.filter_counts, clock=made.loop.time, sleep=runtime.sleep)
        object.__setattr__(made.options, "chain", chain_of(services, **configs))
        object.__setattr__(made.options, "decorates", True)
        made.options.route.table = table_of(*(routes or ({"route": {"cluster": "up"}},)), **(host or {}))
        return made

    return make


def counted(mesh: Mesh) -> dict[str, int]:
    """What filters have counted, as the statistics name it, zeros left out."""
    return {f"{counts.label}.{name}": value for counts in mesh.runtime.filter_counts for name, value in counts.values() if value}
