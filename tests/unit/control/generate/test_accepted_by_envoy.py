"""A real Envoy takes everything that is generated for it."""

import pytest


@pytest.mark.parametrize("mode", ["STRICT", "PERMISSIVE", "DISABLE"])
def test_a_redirecting_sidecar_is_accepted_in_every_mutual_tls_mode(mesh, view, everything, strictness, envoy, mode):
    envoy(mesh(everything + strictness(mode)), view(agent="envoy", LABELS={"app": "reviews"}))


def test_a_registry_only_mesh_with_json_logs_is_accepted(mesh, view, everything, envoy):
    settings = "accessLogFile: /dev/stdout\n    accessLogEncoding: JSON\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
    envoy(mesh(everything.replace("accessLogFile: /dev/stdout", settings)), view(agent="envoy"))


def test_a_sidecar_without_capture_is_accepted(mesh, view, everything, envoy):
    envoy(mesh(everything), view(agent="envoy", LABELS={"app": "reviews"}, INTERCEPTION_MODE="NONE", HTTP_PROXY_PORT="15007"))


def test_a_sidecar_with_ports_of_its_own_is_accepted(mesh, view, everything, own_ports, envoy):
    envoy(mesh(everything), view(agent="envoy", **own_ports))


def test_a_gateway_is_accepted(mesh, view, everything_at_the_edge, envoy):
    envoy(mesh(everything_at_the_edge), view("router", agent="envoy", LABELS={"istio": "ingressgateway"}))


@pytest.mark.parametrize("kind", ["sidecar", "router"])
def test_the_services_of_a_cluster_are_accepted(mesh, view, cluster, envoy, kind):
    envoy(mesh(cluster), view(kind, agent="envoy", NAMESPACE="shop", LABELS={"app": "cart"}, NODE_NAME="node-a"))
