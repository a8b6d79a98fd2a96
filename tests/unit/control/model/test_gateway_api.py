"""The translation of the Gateway API as a part of the snapshot: made anew when its own objects change, and in no order but theirs."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS
from pymesh.api.models.gatewayapi.references import GROUP
from pymesh_control.model.assembly import build
from pymesh_control.model.workload import Workload
from tests.unit.mesh.test_any_spec import specs

SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: web}}
"""
EDGE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec: {parentRefs: [{name: edge}], hostnames: [%s], rules: [{backendRefs: [{name: web, port: 80}]}]}
"""
WORKLOAD = Workload(name="w", namespace="default", ip="10.0.0.1", labels={"app": "web"})


@pytest.fixture
def resources():
    return parse_text("---".join((SERVICE, EDGE, ROUTE % ("a", "a.com"), ROUTE % ("b", "b.com, c.com"))), "f").resources


def test_instances_that_come_and_go_leave_the_routes_as_they_are(resources):
    before, _ = build(resources, [], 1)
    after, _ = build(resources, [WORKLOAD], 2, former=before)
    assert after.instances(after.services[0]) != before.instances(before.services[0])
    for fact in ("gateway_api", "virtual_services", "gateways", "backend_tls"):
        assert getattr(after, fact) is getattr(before, fact), fact


def test_a_route_that_goes_is_routed_no_more(resources):
    before, _ = build(resources, [], 1)
    after, _ = build(resources[:-1], [], 2, former=before)
    assert [one.hosts for one in before.virtual_services] == [("a.com",), ("b.com",), ("c.com",)]
    assert [one.hosts for one in after.virtual_services] == [("a.com",)]


@given(order=st.permutations(range(4)))
def test_the_order_of_files_says_nothing(order):
    texts = (SERVICE, EDGE, ROUTE % ("a", "a.com"), ROUTE % ("b", "a.com"))
    read = [parse_text("---".join(texts[index] for index in chosen), "f").resources for chosen in (range(4), order)]
    plain, shuffled = (build(one, [], 1)[0].gateway_api for one in read)
    assert (plain.virtual_services, plain.gateways, plain.statuses) == (shuffled.virtual_services, shuffled.gateways, shuffled.statuses)


OURS = [kind for kind in KINDS.values() if kind.group == GROUP]
OBJECTS = st.sampled_from(OURS).flatmap(
    lambda kind: specs(kind.model).map(
        lambda spec: {"apiVersion": kind.api_versions[0], "kind": kind.written, "metadata": {"name": "a"}, "spec": spec}
    )
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(objects=st.lists(OBJECTS, max_size=6))
def test_whatever_can_be_read_has_a_status(objects):
    read = parse_text(json.dumps({"kind": "List", "items": objects}), "f").resources
    snapshot, refused = build(read, [], 1)
    told = {(one.kind, one.namespace, one.name) for one in snapshot.gateway_api.statuses}
    accepted = read if not refused else []
    assert {(one.kind, one.namespace, one.name) for one in accepted if one.kind.endswith(("Route", "Policy"))} <= told
