"""Kubernetes' own objects are read for what the mesh needs of them, and not judged beyond it."""

import json

import pytest

from pymesh.api import parse_text
from pymesh.api.kinds import KUBERNETES_KINDS

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, someday: [1]}
spec:
  sessionAffinity: ClientIP
  clusterIP: None
  ports: [{port: 80, targetPort: http, nodePort: 30080}]
status: {loadBalancer: {}}
unheardOf: true
"""


def read(text):
    parsed = parse_text(text, "f.yaml")
    return parsed.resources, [str(problem) for problem in parsed.problems]


def test_fields_that_are_not_read_are_no_mistakes():
    ((resource,), problems) = read(SERVICE)
    assert problems == []
    assert (resource.spec.spec.cluster_ip, resource.spec.spec.ports[0].target_port) == ("None", "http")


def test_what_is_read_must_have_its_type():
    resources, problems = read(SERVICE.replace("port: 80,", "port: web,"))
    assert resources == []
    assert problems == ['f.yaml:7:18: error: Service web: spec.ports[0].port: expected a whole number, found the string "web"']


def test_a_place_is_that_of_the_whole_object():
    ((resource,), _) = read(SERVICE)
    assert resource.position_of(*resource.root, "spec", "ports", 0).line == 7


def test_nodes_and_namespaces_stand_in_no_namespace():
    ((node, shop), problems) = read(
        "apiVersion: v1\nkind: Node\nmetadata: {name: a.b}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    )
    assert problems == []
    assert [one.namespace for one in (node, shop)] == ["", ""]


def test_a_service_of_another_group_is_not_ours():
    _, (problem,) = read("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n")
    assert "Service of serving.knative.dev/v1 is not mesh configuration" in problem


def test_names_that_no_host_can_be_made_of_are_refused():
    resources, problems = read(SERVICE.replace("name: web", "name: web_1"))
    assert resources == []
    assert "not a valid name" in problems[0]


def test_what_is_being_deleted_is_told():
    ((resource,), _) = read("apiVersion: v1\nkind: Pod\nmetadata: {name: a, deletionTimestamp: 2024-01-01T00:00:00Z}\nspec: {}\n")
    assert resource.is_deleting


@pytest.mark.parametrize(
    ("kind", "body", "place"),
    [
        ("Service", {"spec": {"clusterIP": "x"}}, "spec.clusterIP"),
        ("Service", {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "x"]}}, "spec.clusterIPs[1]"),
        ("EndpointSlice", {"addressType": "IPv4", "endpoints": [{"addresses": ["x"]}]}, "endpoints[0].addresses[0]"),
        ("Endpoints", {"subsets": [{"notReadyAddresses": [{"ip": "x"}]}]}, "subsets[0].notReadyAddresses[0].ip"),
        ("Pod", {"status": {"podIP": "x"}}, "status.podIP"),
    ],
)
def test_addresses_that_are_none_are_refused(kind, body, place):
    document = {"apiVersion": KUBERNETES_KINDS[kind].api_versions[0], "kind": kind, "metadata": {"name": "a"}, **body}
    resources, (problem,) = read(json.dumps(document))
    assert resources == []
    assert problem.endswith(f'error: {kind} a: {place}: "x" is not an IP address')
