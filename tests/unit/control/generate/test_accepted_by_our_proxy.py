"""Our own proxy takes everything that is generated for it; control and data plane meet here as they do on the wire."""

from unittest import mock

import pytest

from pymesh.xds import types
from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.context import Context
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.discovery.references import references_of
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.http.route_slot import RouteSlot


@pytest.fixture
def compiled():
    """Everything that a proxy is sent, compiled; a problem raises ConfigError."""
    context = Context(
        route_slot=RouteSlot,
        http_stats=lambda prefix: HttpStats(prefix=prefix),
        file_log=mock.Mock(),
        istio_stats=mock.Mock(),
        peer_metadata=mock.Mock(),
    )

    def check(mesh, seen):
        for message in mesh.clusters(seen).values():
            compile_cluster(message)
        for message in mesh.sees(seen, types.ENDPOINT).values():
            compile_assignment(message)
        listeners = mesh.listeners(seen).values()
        for message in listeners:
            compile_listener(message, context)
        names = {one.need.name for message in listeners for one in references_of(message) if one.need.type_url == types.ROUTE}
        for message in mesh.sees(seen, types.ROUTE, *names).values():
            compile_routes(message)
        return names

    return check


@pytest.mark.parametrize("mode", ["STRICT", "PERMISSIVE", "DISABLE"])
def test_a_redirecting_sidecar_takes_everything_in_every_mutual_tls_mode(mesh, view, everything, strictness, compiled, mode):
    assert "80" in compiled(mesh(everything + strictness(mode)), view(LABELS={"app": "reviews"}))


def test_a_sidecar_with_ports_of_its_own_takes_everything(mesh, view, everything, own_ports, compiled):
    assert {"http_proxy", "reviews.default.svc.cluster.local:80"} <= compiled(mesh(everything), view(**own_ports))


def test_a_gateway_takes_everything(mesh, view, everything_at_the_edge, compiled):
    assert "http.8080" in compiled(mesh(everything_at_the_edge), view("router", LABELS={"istio": "ingressgateway"}))


def test_a_sidecar_takes_the_services_of_a_cluster(mesh, view, cluster, compiled):
    names = compiled(mesh(cluster), view(NAMESPACE="shop", LABELS={"app": "cart"}, NODE_NAME="node-a"))
    assert {"80", "cart.shop.svc.cluster.local:7000", "db.shop.svc.cluster.local:9000"} <= names


def test_a_gateway_takes_the_services_of_a_cluster(mesh, view, cluster, compiled):
    assert compiled(mesh(cluster), view("router", NAMESPACE="shop")) == set()


PATCHES = """
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patches}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.local_ratelimit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: limit
          token_bucket: {max_tokens: 10, tokens_per_fill: 10, fill_interval: 60s}
  - applyTo: HTTP_ROUTE
    match: {routeConfiguration: {vhost: {route: {action: ROUTE}}}}
    patch: {operation: MERGE, value: {route: {timeout: 7s}}}
  - applyTo: CLUSTER
    patch: {operation: MERGE, value: {connect_timeout: 3s}}
"""
LUA = """
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    patch:
      operation: INSERT_FIRST
      value: {name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}
"""


def test_what_envoy_filters_have_changed_is_taken(mesh, view, everything, compiled):
    built, proxy = mesh(everything + PATCHES), view(LABELS={"app": "reviews"})
    assert any(b"local_ratelimit" in one.SerializeToString() for one in built.listeners(proxy).values())
    assert "80" in compiled(built, proxy)


def test_a_filter_that_it_does_not_have_is_refused_by_name(mesh, view, everything, compiled):
    with pytest.raises(ConfigError, match=r"lua"):
        compiled(mesh(everything + LUA), view())
