"""Our own proxy takes everything that is generated for it; control and data plane meet here as they do on the wire."""

import json
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh.api import parse_text
from pymesh.api.kinds import KUBERNETES_KINDS
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
from tests.unit.mesh.test_any_spec import specs

from .test_dynamic_dns import ANY, EDGE, ENTRY, rule


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


@pytest.mark.parametrize("kind", ["sidecar", "router"])
@pytest.mark.parametrize("tls", ["", "{mode: SIMPLE, insecureSkipVerify: true}", "{mode: ISTIO_MUTUAL}"])
def test_hosts_that_are_looked_up_are_taken(mesh, view, compiled, kind, tls):
    compiled(mesh(ENTRY + EDGE + (rule(f"tls: {tls}") if tls else "") + ANY), view(kind, LABELS={"app": "edge"}))


def test_a_sidecar_with_ports_of_its_own_takes_everything(mesh, view, everything, own_ports, compiled):
    assert {"http_proxy", "reviews.default.svc.cluster.local:80"} <= compiled(mesh(everything), view(**own_ports))


@pytest.mark.parametrize("ips", ["fd00::9", "10.0.0.9,fd00::9"])
def test_a_sidecar_with_addresses_of_ipv6_takes_everything(mesh, view, everything, compiled, ips):
    assert "80" in compiled(mesh(everything), view(LABELS={"app": "reviews"}, INSTANCE_IPS=ips))


def test_a_sidecar_that_keeps_addresses_takes_everything(mesh, view, everything, compiled):
    assert "80" in compiled(mesh(everything), view(LABELS={"app": "reviews"}, INTERCEPTION_MODE="TPROXY"))


def test_a_gateway_takes_everything(mesh, view, everything_at_the_edge, compiled):
    assert "http.8080" in compiled(mesh(everything_at_the_edge), view("router", LABELS={"istio": "ingressgateway"}))


def test_a_gateway_takes_what_the_gateway_api_says(mesh, view, everything_of_the_gateway_api, compiled):
    labels = {"gateway.networking.k8s.io/gateway-name": "front"}
    names = compiled(mesh(everything_of_the_gateway_api), view("router", LABELS=labels))
    assert {name.partition("~")[0] for name in names} == {"http.80", "https.443.default.front", "https.443.default.more"}


def test_a_sidecar_takes_what_the_gateway_api_says(mesh, view, everything_of_the_gateway_api, compiled):
    assert "80" in compiled(mesh(everything_of_the_gateway_api), view(LABELS={"app": "reviews"}))


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


def _any_object(kind):
    head = {"apiVersion": kind.api_versions[0], "kind": kind.name}
    metadata = {"name": "a", "labels": {"a": "a", "kubernetes.io/service-name": "a"}}
    return specs(kind.model).map(lambda body: {**head, "metadata": metadata, **body})


_ACTING = [kind for kind in KUBERNETES_KINDS.values() if kind.model.model_fields]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(objects=st.tuples(*map(_any_object, _ACTING)))
def test_whatever_is_read_of_a_cluster_is_taken(mesh, view, compiled, objects):
    texts = [json.dumps(one) for one in objects]
    compiled(mesh("\n---\n".join(text for text in texts if parse_text(text, "f").resources)), view(LABELS={"a": "a"}))
