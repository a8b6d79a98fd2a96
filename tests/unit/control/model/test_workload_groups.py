"""WorkloadGroups as templates of the workloads that register themselves."""

import logging

import pytest

from pymesh.api import parse_text
from pymesh.xds import types
from pymesh_control.generate import generate
from pymesh_control.metrics import Metrics
from pymesh_control.model.assembly import build
from pymesh_control.model.groups import entry_name
from pymesh_control.model.workload import Workload
from pymesh_control.store.catalogue import Contents
from pymesh_control.world import World
from tests.unit.control.generate.conftest import proxy

GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: web}
spec:
  metadata: {labels: {app: web, tier: metadata}}
  template:
    ports: {http: 8080}
    labels: {tier: template, version: v1}
    network: far
    locality: eu/west
    weight: 7
    serviceAccount: web
"""
ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}]
  workloadSelector: {labels: {app: web}}
"""


def registered(**fields):
    return Workload(**{"name": "web-10.0.0.9", "namespace": "default", "ip": "10.0.0.9", "group": "web", "node_id": "n"} | fields)


def members(text, *workloads):
    return build(parse_text(text, "f").resources, workloads, 1)[0].workloads


def test_a_member_has_what_its_group_says_and_its_own_word_over_it():
    (one,) = members(GROUP, registered(labels={"version": "v2", "istio-locality": "us.east"}, ports={"tcp": 9000}))
    assert one.labels == {"app": "web", "tier": "metadata", "version": "v2"}
    assert (one.ports, one.network, one.locality, one.weight, one.service_account) == (
        {"http": 8080, "tcp": 9000}, "far", "eu/west", 7, "web",
    )  # fmt: skip
    (other,) = members(GROUP, registered(network="near", locality="us/east", service_account="web"))
    assert (other.network, other.locality) == ("near", "us/east")


def test_a_label_of_the_group_says_whether_mutual_tls_is_spoken():
    (one,) = members(GROUP.replace("app: web,", "security.istio.io/tlsMode: istio,"), registered())
    assert one.tls_mode == "istio"


@pytest.mark.parametrize("workload", [registered(group="other"), registered(namespace="shop"), registered(service_account="mallory")])
def test_who_belongs_to_no_group_takes_no_part(workload):
    assert members(GROUP, workload) == ()


def test_a_workload_without_a_group_is_as_it_is():
    workload = registered(group="")
    assert members(GROUP, workload) == (workload,)


def test_members_answer_for_services_and_serve_them():
    snapshot = build(parse_text(GROUP + ENTRY, "f").resources, [registered()], 1)[0]
    view = proxy(AUTO_REGISTER_GROUP="web")
    (assignment,) = generate(snapshot, view, types.ENDPOINT, frozenset({"outbound|80||web.default.svc.cluster.local"})).values()
    assert b"10.0.0.9" in assignment.any.value
    assert "inbound|8080||" in generate(snapshot, view, types.CLUSTER, None)  # by the group's labels, which the node does not say


def test_a_change_of_the_group_changes_its_members():
    resources = parse_text(GROUP, "f").resources
    workload = registered()
    before = build(resources, [workload], 1)[0]
    after = build(parse_text(GROUP.replace("weight: 7", "weight: 9"), "f").resources, [workload], 2, former=before)[0]
    assert [one.weight for one in (*before.workloads, *after.workloads)] == [7, 9]


def test_names_are_istios_and_never_longer_than_kubernetes_allows():
    assert entry_name("web", "10.0.0.9", "") == "web-10.0.0.9"
    assert entry_name("web", "2001:db8::1", "far") == "web-2001-db8--1-far"
    assert len(entry_name("w" * 300, "10.0.0.9", "")) == 253


def test_who_takes_no_part_is_told_once(caplog):
    world = World("cluster.local", Metrics())
    with caplog.at_level(logging.WARNING, "pymesh.config"):
        for text in ("", "", GROUP, ""):
            world.rebuild(Contents(parse_text(text, "f").resources, ()), [registered()])
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0] == "workload default/web-10.0.0.9 is sent nothing: no WorkloadGroup web is there that is for service account (none)"
