"""Changes of EnvoyFilters that do nothing, told where proxies are known that could show it."""

import pytest

from pymesh_control.analyze.patches import idle_change
from pymesh_control.model.workload import Workload

from .meshes import entry, gateway, server, subject, thing

REVIEWS = entry(
    "reviews",
    "hosts: [reviews.default.svc.cluster.local], location: MESH_INTERNAL, ports: [{number: 80, name: http}],"
    " workloadSelector: {labels: {app: reviews}}",
)
EDGE = gateway(server(), selector="{istio: edge}")
WORKLOAD = Workload(name="r", namespace="default", ip="10.0.0.8", labels={"app": "reviews"})
MANAGER = "envoy.filters.network.http_connection_manager"
TYPE = "type.googleapis.com/envoy.extensions.filters.network"
IDLE = "changes nothing of what the proxies are sent that it is for"


def changed(*changes, selector="{}", namespace="default"):
    listed = ", ".join(f"{{applyTo: {target}, match: {{{match}}}, patch: {{{patch}}}}}" for target, match, patch in changes)
    return thing("EnvoyFilter", "f", f"{{workloadSelector: {{labels: {selector}}}, configPatches: [{listed}]}}", namespace)


def told(text, *workloads):
    return [one.message for one in idle_change.diagnostics(subject(text, list(workloads)))]


def of_cluster(context, name, patch="operation: MERGE, value: {connect_timeout: 3s}"):
    return ("CLUSTER", f"context: {context}, cluster: {{{name}}}", patch)


OUTBOUND = of_cluster("SIDECAR_OUTBOUND", "service: reviews.default.svc.cluster.local")
GONE = of_cluster("SIDECAR_OUTBOUND", "service: gone.default.svc.cluster.local")
INBOUND = of_cluster("SIDECAR_INBOUND", "name: inbound|80||")
NO_INBOUND = of_cluster("SIDECAR_INBOUND", "name: inbound|81||")


def test_only_the_change_that_meets_nothing_is_told_with_its_place():
    (found,) = idle_change.diagnostics(subject(REVIEWS + changed(OUTBOUND, GONE), []))
    assert found.message == IDLE
    assert found.column > 200, "the second of the list"


def test_what_applications_are_sent_is_judged_where_one_is_known():
    text = REVIEWS + changed(INBOUND, NO_INBOUND)
    assert told(text) == []
    assert told(text, WORKLOAD) == [IDLE]


def test_a_change_in_any_direction_needs_all_of_a_sidecars():
    text = REVIEWS + changed(of_cluster("ANY", "name: inbound|81||"))
    assert told(text) == []
    assert told(text, WORKLOAD) == [IDLE]


def test_a_gateway_is_what_a_gateway_says():
    merge = "operation: MERGE, value: {continue_on_listener_filters_timeout: true}"
    changes = [("LISTENER", f"context: GATEWAY, listener: {{portNumber: {port}}}", merge) for port in (80, 81)]
    assert told(changed(*changes)) == []
    assert told(EDGE + changed(*changes)) == [IDLE]
    assert told(EDGE + changed(*changes, selector="{istio: edge}")) == [IDLE]
    assert told(EDGE + changed(*changes, selector="{istio: other}")) == [], "it serves no such proxy"


@pytest.mark.parametrize("removed", ["operation: REMOVE", "operation: MERGE, value: {connect_timeout: 3s}"])
def test_a_resource_that_is_removed_or_changed_was_met(removed):
    assert told(REVIEWS + changed(of_cluster("SIDECAR_OUTBOUND", "service: reviews.default.svc.cluster.local", removed))) == []


@pytest.mark.parametrize(("kind", "misfit"), [
    ("http_connection_manager.v3.HttpConnectionManager", False), ("tcp_proxy.v3.TcpProxy", True),
])  # fmt: skip
def test_a_configuration_of_another_type_is_told_with_what_is_there(kind, misfit):
    value = f"{{name: {MANAGER}, typed_config: {{'@type': {TYPE}.{kind}, stat_prefix: a}}}}"
    match = f"context: SIDECAR_OUTBOUND, listener: {{filterChain: {{filter: {{name: {MANAGER}}}}}}}"
    expected = (
        "is not merged: what it is for has envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        " where it brings a configuration of another type"
    )
    found = told(REVIEWS + changed(("NETWORK_FILTER", match, f"operation: MERGE, value: {value}")))
    assert found == ([expected] if misfit else [])


def test_what_depends_on_the_version_of_a_proxy_is_left_alone():
    change = (GONE[0], f"proxy: {{proxyVersion: '1\\\\.9.*'}}, {GONE[1]}", GONE[2])
    assert told(REVIEWS + changed(change)) == []


def test_a_filter_of_the_root_namespace_is_tried_on_workloads_of_others():
    assert told(REVIEWS + changed(INBOUND, NO_INBOUND, namespace="istio-system"), WORKLOAD) == [IDLE]
