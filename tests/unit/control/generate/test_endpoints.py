"""EDS: which instances a cluster has, and what is said of each."""

import pytest
from google.protobuf import json_format

from pymesh.xds import types
from pymesh_control.model.workload import Workload

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, targetPort: 8080}]
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
HOST = "reviews.default.svc.cluster.local"
ALL = f"outbound|80||{HOST}"


def instance(name, ip, version, **more):
    return Workload(
        name=name, namespace="default", ip=ip, labels={"app": "reviews", "version": version}, tls_mode="istio", service_account="sa", **more
    )


WORKLOADS = [
    instance("a", "10.0.0.1", "v1", locality="eu/west/1", weight=2),
    instance("b", "10.0.0.2", "v2", locality="eu/west/1", ports={"http": 21001}),
    instance("c", "10.0.0.3", "v2"),
]


def addresses(assignment):
    points = [point for group in assignment.endpoints for point in group.lb_endpoints]
    return {(one.endpoint.address.socket_address.address, one.endpoint.address.socket_address.port_value) for one in points}


def metadata(point):
    return {key: json_format.MessageToDict(value) for key, value in point.metadata.filter_metadata.items()}


def test_instances_are_grouped_by_locality_with_their_weights(mesh, view):
    assignment = mesh(ENTRY, WORKLOADS).endpoints(view(), ALL)
    assert [(group.locality.region, group.locality.sub_zone, group.load_balancing_weight.value) for group in assignment.endpoints] == [
        ("", "", 1),
        ("eu", "1", 3),
    ]
    assert addresses(assignment) == {("10.0.0.1", 8080), ("10.0.0.2", 21001), ("10.0.0.3", 8080)}


@pytest.mark.parametrize(("subset", "expected"), [("v1", {("10.0.0.1", 8080)}), ("v2", {("10.0.0.2", 21001), ("10.0.0.3", 8080)})])
def test_a_subset_holds_the_instances_with_its_labels(mesh, view, subset, expected):
    assert addresses(mesh(ENTRY, WORKLOADS).endpoints(view(), f"outbound|80|{subset}|{HOST}")) == expected


def test_an_instance_says_how_it_takes_tls_and_who_it_is(mesh, view):
    point = mesh(ENTRY, WORKLOADS[2:]).endpoints(view(), ALL).endpoints[0].lb_endpoints[0]
    assert metadata(point) == {
        "envoy.transport_socket_match": {"tlsMode": "istio"},
        "istio": {"workload": "c;default;reviews;v2;Kubernetes"},
    }
    assert point.health_status == 1


def test_an_instance_without_a_sidecar_is_called_in_plaintext(mesh, view):
    plain = [Workload(name="p", namespace="default", ip="10.0.0.4", labels={"app": "reviews"})]
    point = mesh(ENTRY, plain).endpoints(view(), ALL).endpoints[0].lb_endpoints[0]
    assert "envoy.transport_socket_match" not in metadata(point)


def test_a_workload_whose_mutual_tls_is_off_is_called_in_plaintext(mesh, view):
    off = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: plain}
spec: {selector: {matchLabels: {version: v1}}, mtls: {mode: DISABLE}}
"""
    points = [point for group in mesh(ENTRY + off, WORKLOADS).endpoints(view(), ALL).endpoints for point in group.lb_endpoints]
    assert ["envoy.transport_socket_match" in metadata(point) for point in points] == [True, False, True]


@pytest.mark.parametrize(("mode", "mutual"), [("ISTIO_MUTUAL", True), ("DISABLE", False), ("SIMPLE", False)])
def test_the_tls_mode_of_a_rule_decides_for_all(mesh, view, mode, mutual):
    text = ENTRY.replace("  host: reviews\n", f"  host: reviews\n  trafficPolicy: {{tls: {{mode: {mode}}}}}\n")
    points = [point for group in mesh(text, WORKLOADS).endpoints(view(), ALL).endpoints for point in group.lb_endpoints]
    assert {"envoy.transport_socket_match" in metadata(point) for point in points} == {mutual}


@pytest.mark.parametrize(
    "name", ["nonsense", "outbound|²||x", "inbound|80||", f"outbound|81||{HOST}", f"outbound|80|v9|{HOST}", "outbound|80||nobody"]
)
def test_a_name_that_stands_for_nothing_is_absent(mesh, view, name):
    assert mesh(ENTRY, WORKLOADS).sees(view(), types.ENDPOINT, name) == {}
