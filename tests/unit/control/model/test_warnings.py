"""Rules that point at nothing are kept, and a person is told."""

import pytest

from pymesh.api.kinds import KINDS
from pymesh_control.model.support import INERT

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 81, name: grpc}, {number: 53, name: udp-dns}]
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}]
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v9, labels: {version: v9}}]}
"""
ROUTE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  gateways: [mesh, nowhere]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 1}
    - {destination: {host: reviews, subset: v2}, weight: 1}
    - {destination: {host: nobody}, weight: 1}
"""


def sentences(problems):
    assert all(problem.severity == "warning" for problem in problems)
    return [problem.message for problem in problems]


def test_a_subset_that_selects_nothing_is_pointed_out(built):
    found = sentences(built(ENTRY + RULE)[1])
    assert [text for text in found if "selects none" in text] == [
        "DestinationRule default/reviews: subset v9 selects none of the instances of reviews.default.svc.cluster.local [IST0173]"
    ]


def test_absent_subsets_hosts_and_gateways_are_pointed_out_and_the_route_kept(built):
    snapshot, problems = built(ENTRY + RULE + ROUTE)
    found = " ".join(sentences(problems))
    assert "subset v2" in found
    assert "nobody.default.svc.cluster.local" in found
    assert "no Gateway nowhere" in found
    assert len(snapshot.virtual_services) == 1


def test_ports_that_no_proxy_carries_are_pointed_out(built):
    found = " ".join(sentences(built(ENTRY)[1]))
    assert "port 53: UDP is not carried" in found


def test_a_server_that_loses_its_port_is_pointed_out(built):
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - {port: {number: 80, name: a, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 80, name: b, protocol: TCP}, hosts: ["*"]}
"""
    problems = built(text)[1]
    assert (problems[0].line, problems[0].severity) == (8, "warning")
    assert "port 80 already speaks HTTP for Gateway default/edge" in problems[0].message


@pytest.mark.parametrize("kind", sorted(INERT))
def test_a_kind_that_does_nothing_says_so(built, kind):
    specs = {"Sidecar": "{egress: [{hosts: ['*/*']}]}", "WorkloadGroup": "{template: {}}", "TrafficExtension": "{lua: {inlineCode: x}}"}
    spec = specs.get(kind, "{url: 'oci://a'}" if kind == "WasmPlugin" else "{}")
    text = f"apiVersion: {KINDS[kind].api_versions[0]}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
    _, problems = built(text)
    assert [problem.severity for problem in problems if "has no effect here" in problem.message] == ["warning"]
