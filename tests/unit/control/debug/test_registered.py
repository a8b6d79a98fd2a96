"""Registered workloads are shown as the WorkloadEntries that Istio writes for them."""

import socket
from datetime import UTC, datetime

import pytest

from pymesh.api import parse_text
from pymesh_control.debug.registered import entries, statuses
from pymesh_control.model.assembly import build
from pymesh_control.model.workload import Workload
from pymesh_control.registration.standing import Feeling, Standing

GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: web, namespace: shop}
spec:
  metadata: {labels: {tier: edge}, annotations: {owner: alice}}
  template: {serviceAccount: web, network: far, weight: 3, ports: {http: 8080}, labels: {app: web}}
"""
WORKLOAD = Workload(name="web-10.0.0.1", namespace="shop", ip="10.0.0.1", labels={"version": "v1"}, group="web", node_id="node")
BEGAN, LATER = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC), datetime(2026, 1, 2, 3, 5, tzinfo=UTC)


def shown(**standing):
    snapshot = build(parse_text(GROUP, "f").resources, (), 1)[0]
    return list(entries(snapshot, [Standing(workload=WORKLOAD, **standing)]))


def test_an_entry_is_the_groups_template_with_what_the_proxy_says():
    (entry,) = shown(connected=True, since=BEGAN)
    labels = {"app": "web", "tier": "edge", "version": "v1"}
    assert entry == {
        "kind": "WorkloadEntry",
        "apiVersion": "networking.istio.io/v1",
        "metadata": {
            "name": "web-10.0.0.1",
            "namespace": "shop",
            "labels": labels,
            "annotations": {
                "istio.io/autoRegistrationGroup": "web",
                "owner": "alice",
                "istio.io/workloadController": socket.gethostname(),
                "istio.io/connectedAt": "2026-01-02T03:04:05.600000Z",
            },
        },
        "spec": {
            "address": "10.0.0.1", "ports": {"http": 8080}, "labels": labels, "network": "far", "weight": 3, "serviceAccount": "web",
        },
        "status": {"conditions": []},
        "file": "registered by node",
    }  # fmt: skip


def test_a_proxy_that_is_gone_is_told_from_one_that_is_there():
    annotations = shown(since=BEGAN)[0]["metadata"]["annotations"]
    assert annotations["istio.io/disconnectedAt"] == "2026-01-02T03:04:05.600000Z"
    assert "istio.io/connectedAt" not in annotations


@pytest.mark.parametrize(("reason", "status"), [("", {"status": "True"}), ("refused", {"status": "False", "message": "refused"})])
def test_health_is_a_condition(reason, status):
    (entry,) = shown(connected=True, since=BEGAN, probed=True, feeling=Feeling(reason=reason, since=LATER))
    assert entry["metadata"]["annotations"]["proxy.istio.io/health-checks-enabled"] == "true"
    when = "2026-01-02T03:05:00Z"
    assert entry["status"]["conditions"] == [{"type": "Healthy", "lastProbeTime": when, "lastTransitionTime": when, **status}]


def test_who_names_no_group_that_is_there_has_no_entry():
    snapshot = build([], (), 1)[0]
    assert list(entries(snapshot, [Standing(workload=WORKLOAD)])) == []
    assert list(statuses(snapshot, [Standing(workload=WORKLOAD)])) == []
