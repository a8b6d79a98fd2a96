"""A real Envoy takes everything that is generated for it."""

import pytest

from pymesh.xds import proto


@pytest.mark.parametrize("mode", ["STRICT", "PERMISSIVE", "DISABLE"])
def test_a_redirecting_sidecar_is_accepted_in_every_mutual_tls_mode(mesh, view, everything, strictness, envoy, mode):
    envoy(mesh(everything + strictness(mode)), view(agent="envoy", LABELS={"app": "reviews"}))


def test_a_registry_only_mesh_with_json_logs_is_accepted(mesh, view, everything, envoy):
    settings = "accessLogFile: /dev/stdout\n    accessLogEncoding: JSON\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
    envoy(mesh(everything.replace("accessLogFile: /dev/stdout", settings)), view(agent="envoy"))


def test_addresses_of_the_meshs_own_are_accepted(mesh, view, everything, envoy):
    built = mesh(everything.replace("protocol: HTTPS", "protocol: TCP"))
    proxy = view(agent="envoy", DNS_CAPTURE="true", INSTANCE_IPS="10.0.0.9,fd00::9")
    assert {"240.240", "2001:2:"} <= {name[:7] for name in built.listeners(proxy)}
    envoy(built, proxy)


@pytest.mark.parametrize("kind", ["sidecar", "router"])
@pytest.mark.parametrize("ips", ["fd00::9", "10.0.0.9,fd00::9"])
def test_proxies_with_addresses_of_ipv6_are_accepted(mesh, view, everything_at_the_edge, envoy, kind, ips):
    envoy(mesh(everything_at_the_edge), view(kind, agent="envoy", LABELS={"app": "reviews", "istio": "ingressgateway"}, INSTANCE_IPS=ips))


def test_a_sidecar_that_keeps_addresses_is_accepted(mesh, view, everything, envoy):
    built, seen = mesh(everything), view(agent="envoy", LABELS={"app": "reviews"}, INTERCEPTION_MODE="TPROXY")
    listeners = built.listeners(seen)
    assert {name for name, one in listeners.items() if one.transparent.value} == {"virtualInbound", "virtualOutbound"}
    source = listeners["virtualInbound"].listener_filters[1]
    assert (source.name, proto.unpack(source.typed_config).mark) == ("envoy.filters.listener.original_src", 1337)
    envoy(built, seen)


def test_a_sidecar_without_capture_is_accepted(mesh, view, everything, envoy):
    envoy(mesh(everything), view(agent="envoy", LABELS={"app": "reviews"}, INTERCEPTION_MODE="NONE", HTTP_PROXY_PORT="15007"))


def test_a_sidecar_with_ports_of_its_own_is_accepted(mesh, view, everything, own_ports, envoy):
    envoy(mesh(everything), view(agent="envoy", **own_ports))


def test_a_gateway_is_accepted(mesh, view, everything_at_the_edge, envoy):
    envoy(mesh(everything_at_the_edge), view("router", agent="envoy", LABELS={"istio": "ingressgateway"}))


FRONT = {"gateway.networking.k8s.io/gateway-name": "front"}


@pytest.mark.parametrize(("kind", "labels"), [("sidecar", {"app": "reviews"}), ("router", FRONT)])
def test_what_the_gateway_api_says_is_accepted(mesh, view, everything_of_the_gateway_api, envoy, kind, labels):
    envoy(mesh(everything_of_the_gateway_api), view(kind, agent="envoy", LABELS=labels))


@pytest.mark.parametrize("kind", ["sidecar", "router"])
def test_the_services_of_a_cluster_are_accepted(mesh, view, cluster, envoy, kind):
    envoy(mesh(cluster), view(kind, agent="envoy", NAMESPACE="shop", LABELS={"app": "cart"}, NODE_NAME="node-a"))


PATCHES = """
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patches}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: %s
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.lua
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code: {inline_string: "function envoy_on_response(h) h:headers():add('x-lua', '1') end"}
  - applyTo: HTTP_FILTER
    match:
      context: %s
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.local_ratelimit
        typed_config:
          "@type": type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          value: {stat_prefix: limit, token_bucket: {max_tokens: 10, tokens_per_fill: 10, fill_interval: 60s}}
  - applyTo: NETWORK_FILTER
    match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
    patch:
      operation: MERGE
      value:
        name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          xff_num_trusted_hops: 2
          common_http_protocol_options: {idle_timeout: 30s}
  - applyTo: HTTP_ROUTE
    match: {routeConfiguration: {vhost: {route: {action: ROUTE}}}}
    patch: {operation: MERGE, value: {route: {timeout: 7s}}}
  - applyTo: CLUSTER
    patch: {operation: MERGE, value: {upstream_connection_options: {tcp_keepalive: {keepalive_time: 30}}}}
  - applyTo: CLUSTER
    patch: {operation: ADD, value: {name: ratelimit, type: STATIC, connect_timeout: 1s, load_assignment: {cluster_name: ratelimit}}}
  - applyTo: FILTER_CHAIN
    patch: {operation: MERGE, value: {transport_socket_connect_timeout: 9s}}
  - applyTo: LISTENER
    patch: {operation: MERGE, value: {per_connection_buffer_limit_bytes: 65536}}
"""


@pytest.mark.parametrize(("kind", "context", "label"), [("sidecar", "SIDECAR_INBOUND", "reviews"), ("router", "GATEWAY", "ingressgateway")])
def test_what_envoy_filters_have_changed_is_accepted(mesh, view, everything_at_the_edge, envoy, kind, context, label):
    built = mesh(everything_at_the_edge + PATCHES % (context, context))
    proxy = view(kind, agent="envoy", LABELS={"app": label, "istio": label})
    listeners = built.listeners(proxy).values()
    assert any(b"x-lua" in one.SerializeToString() for one in listeners)
    assert all(one.per_connection_buffer_limit_bytes.value == 65536 for one in listeners)
    assert "ratelimit" in built.clusters(proxy)
    envoy(built, proxy)
