"""zoneAwareLbSetting: what clusters and endpoints say of zones, and whom a proxy is told of as its like."""

import pytest

from pymesh.xds import types
from pymesh_control.model.workload import Workload
from tests.unit.control.generate.test_virtual_service_routes import ENTRY, A

SELECTING = ENTRY.replace("endpoints: [{address: 10.0.0.1}]", "workloadSelector: {labels: {app: a}}", 1)
GROUP = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: a}
spec: {metadata: {labels: {app: a}}, template: {serviceAccount: a, locality: eu/west/1}}
"""
CLUSTER = f"outbound|80||{A}"
PLACES = {"10.0.1.1": "eu/west/1", "10.0.1.2": "eu/east/1", "10.0.1.3": "us/east/1", "10.0.1.4": "ap/south/1"}
LABELS = {"10.0.1.3": {"tier": "gold"}, "10.0.1.4": {"tier": "gold"}}


def mesh_config(text):
    return f"""
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: '{text}'
"""


def rule(balancer):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec: {{host: a, trafficPolicy: {{loadBalancer: {{{balancer}}}}}}}
"""


@pytest.fixture
def zoned(mesh):
    """A mesh in which host `a` runs in four places."""

    def make(more):
        workloads = [
            Workload(name="a", namespace="default", ip=ip, labels={"app": "a", **LABELS.get(ip, {})}, locality=place)
            for ip, place in PLACES.items()
        ]
        return mesh(SELECTING + more, workloads)

    return make


def ranks(made, view):
    """The priority of each instance."""
    found = made.endpoints(view, CLUSTER)
    return {one.endpoint.address.socket_address.address[-1]: group.priority for group in found.endpoints for one in group.lb_endpoints}


@pytest.fixture
def european(view):
    return view(LABELS={"istio-locality": "eu.west.2", "tier": "gold"})


@pytest.mark.parametrize(("setting", "expected"), [
    ("{}", {"1": 0, "2": 0, "3": 1, "4": 1}),
    ("{enabled: true, failover: [{from: eu, to: us}]}", {"1": 0, "2": 0, "3": 1, "4": 2}),
    ("{failover: [{from: us, to: ap}]}", {"1": 0, "2": 0, "3": 1, "4": 1}),
    ("{failoverPriority: [tier]}", {"1": 1, "2": 1, "3": 0, "4": 0}),
    ("{failoverPriority: [tier], failover: [{from: eu, to: ap}]}", {"1": 2, "2": 2, "3": 1, "4": 0}),
    ("{enabled: false, failover: [{from: eu, to: us}]}", {"1": 0, "2": 0, "3": 0, "4": 0}),
])  # fmt: skip
def test_the_clients_region_comes_first(zoned, european, setting, expected):
    assert ranks(zoned(rule(f"zoneAwareLbSetting: {setting}")), european) == expected


@pytest.mark.parametrize(("balancer", "mesh_wide", "expected"), [
    ("zoneAwareLbSetting: {}", "", {"zone_aware": {}}),
    ("zoneAwareLbSetting: {minClusterSize: 3}", "", {"zone_aware": {"minimum": 3}}),
    ("zoneAwareLbSetting: {enabled: false}", "", {"zone_aware": {"enabled": 0.0}}),
    ("simple: RANDOM", "zoneAwareLbSetting: {minClusterSize: 4}", {"zone_aware": {"minimum": 4}}),
    ("localityLbSetting: {enabled: true}", "zoneAwareLbSetting: {minClusterSize: 4}", {}),
    ("simple: RANDOM", "", {}),
])  # fmt: skip
def test_the_cluster_says_so_and_a_rule_goes_before_the_mesh(zoned, european, balancer, mesh_wide, expected):
    made = zoned(rule(balancer) + (mesh_config(mesh_wide) if mesh_wide else ""))
    common = made.clusters(european)[CLUSTER].common_lb_config
    found = {}
    if common.HasField("zone_aware_lb_config"):
        said = common.zone_aware_lb_config
        found["zone_aware"] = {"minimum": said.min_cluster_size.value} if said.HasField("min_cluster_size") else {}
        found["zone_aware"] |= {"enabled": said.routing_enabled.value} if said.HasField("routing_enabled") else {}
    assert found == expected
    assert not common.HasField("locality_weighted_lb_config")


def test_a_proxy_is_told_of_its_like_in_its_region(mesh, view):
    def member(number, **facts):
        settings = {"labels": {"app": "a"}, "locality": "eu/west/1", **facts}
        return Workload(**{"name": "a", "namespace": "default", "ip": f"10.0.1.{number}", **settings})

    members = [
        member(1), member(2, locality="eu/east/1"), member(3, locality="us/east/1"), member(4, name="another"),
        member(5, labels={"app": "a", "pod-template-hash": "x"}),
        member(6, name="entry", labels={"app": "a", "service.istio.io/workload-name": "a"}),
        member(7, name="a-7", group="a"),
    ]  # fmt: skip
    made = mesh(SELECTING + GROUP, members)
    own = {"app": "a", "istio-locality": "eu.west.9"}
    told = made.endpoints(view(LABELS=own, WORKLOAD_NAME="a"), "local_cluster")
    found = {
        (group.locality.zone, one.endpoint.address.socket_address.address[-1]) for group in told.endpoints for one in group.lb_endpoints
    }
    assert found == {("west", "1"), ("east", "2"), ("west", "6"), ("west", "7")}
    assert {group.priority for group in told.endpoints} == {0}
    later = made.endpoints(view(LABELS={**own, "pod-template-hash": "x"}, WORKLOAD_NAME="a"), "local_cluster")
    assert [len(group.lb_endpoints) for group in later.endpoints] == [1]


def test_a_proxy_that_serves_nothing_has_no_like(mesh, view):
    assert not mesh(ENTRY).endpoints(view(LABELS={"app": "nothing"}), "local_cluster").endpoints


def test_nobody_gets_a_local_cluster_unasked(mesh, view):
    assert "local_cluster" not in mesh(ENTRY).sees(view(LABELS={"app": "a"}), types.ENDPOINT)
