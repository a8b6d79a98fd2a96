"""Snapshots from files and workloads: one bad resource never spoils the rest."""

import pytest

from pymesh.api import parse_text
from pymesh.xds import proto
from pymesh_control.metrics import Metrics
from pymesh_control.store.catalogue import Contents
from pymesh_control.world import World

from .started import MESH, WEB

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: web, protocol: HTTP}
    hosts: ["one.example"]
"""
UNHONOURED = """protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: c, insecureSkipVerify: true}"""


@pytest.fixture
def world():
    return World("cluster.local", Metrics())


def contents(*texts):
    return Contents(tuple(resource for number, text in enumerate(texts) for resource in parse_text(text, f"{number}.yaml").resources))


def hosts(world):
    return [service.host for service in world.snapshot.services]


def test_services_of_the_files_are_in_the_snapshot(world):
    world.rebuild(contents(WEB, WEB.replace("web", "api")), ())
    assert hosts(world) == ["web.shop.svc.cluster.local", "api.shop.svc.cluster.local"]


def test_what_a_client_was_given_to_see_stays_while_the_world_goes_on(world):
    before = world.snapshot
    world.rebuild(contents(WEB), ())
    assert before.services == ()
    assert world.snapshot.version == before.version + 1


def test_a_mesh_configuration_for_another_trust_domain_is_an_error_and_is_not_followed(world):
    world.rebuild(contents(MESH), ())
    assert world.snapshot.mesh.trust_domain == "cluster.local"
    assert "trustDomain td.example: this control plane runs for trust domain cluster.local" in str(world.problems[0])


def test_objects_that_are_nothing_to_the_mesh_are_told_and_are_no_failure(world):
    found = parse_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\n" + WEB, "a.yaml")
    world.rebuild(Contents(tuple(found.resources), tuple(found.problems)), ())
    assert hosts(world) == ["web.shop.svc.cluster.local"]
    assert [one.severity for one in world.problems] == ["info"]
    assert world._metrics.registry.get_sample_value("pymesh_config_problems", {"severity": "info"}) == 1
    assert world._metrics.registry.get_sample_value("pymesh_config_problems", {"severity": "error"}) == 0


def test_a_problem_is_logged_when_it_appears_and_not_again(world, caplog):
    wrong = Contents((), tuple(parse_text("kind: [", "a.yaml").problems))
    world.rebuild(wrong, ())
    world.rebuild(wrong, ())
    assert [record.getMessage().startswith("a.yaml:2:") for record in caplog.records] == [True]


def test_a_resource_that_cannot_be_honoured_stays_in_its_last_version_while_others_change(world):
    world.rebuild(contents(GATEWAY, WEB), ())
    refused = GATEWAY.replace("one.example", "two.example").replace("protocol: HTTP}", UNHONOURED)
    world.rebuild(contents(refused, WEB.replace("web.shop", "new.shop")), ())
    assert [str(problem).partition(": ")[0] for problem in world.problems if problem.severity == "error"] == ["0.yaml:8:44"]
    assert [one.spec.servers[0].hosts for one in world.resources_used if one.kind == "Gateway"] == [["one.example"]]
    assert hosts(world) == ["new.shop.svc.cluster.local"]


def test_a_resource_that_could_never_be_honoured_is_left_out_until_it_is_mended(world):
    world.rebuild(contents(GATEWAY.replace("protocol: HTTP}", UNHONOURED), WEB), ())
    assert world.snapshot.gateways == ()
    assert hosts(world) == ["web.shop.svc.cluster.local"]
    world.rebuild(contents(GATEWAY, WEB), ())
    assert len(world.snapshot.gateways) == 1
    assert [problem for problem in world.problems if problem.severity == "error"] == []


def test_configuration_of_another_revision_is_left_alone_and_told():
    canary = WEB.replace("{name: web,", "{name: web, labels: {istio.io/rev: canary},")
    served = World("cluster.local", Metrics(), "canary")
    served.rebuild(contents(canary), ())
    assert hosts(served) == ["web.shop.svc.cluster.local"]
    other = World("cluster.local", Metrics(), "stable")
    other.rebuild(contents(canary, WEB.replace("web", "api")), ())
    assert hosts(other) == ["api.shop.svc.cluster.local"]
    (told,) = other.problems
    assert str(told).startswith("0.yaml:3:")
    assert "ServiceEntry shop/web: is left alone: it is for revision 'canary', and this control plane's is 'stable'" in str(told)


def test_node_metadata_that_change_nothing_are_told_once(world, caplog):
    node = proto.base.Node(id="sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local")
    node.metadata.update({"ENABLE_HBONE": "true", "DNS_AUTO_ALLOCATE": "false", "TLS_CLIENT_KEY": "/key", "OWN": "word"})
    world.view(node, None)
    world.view(node, None)
    told = [record.getMessage() for record in caplog.records]
    assert [one.partition(" has no effect here: ")[0].partition("metadata ")[2] for one in told] == ["ENABLE_HBONE", "TLS_CLIENT_KEY"]


def test_what_cannot_be_honoured_is_counted_by_name_until_it_is_mended(world):
    gauge = "pilot_total_rejected_configs"
    world.rebuild(contents(GATEWAY.replace("protocol: HTTP}", UNHONOURED), WEB), ())
    assert world._metrics.registry.get_sample_value(gauge, {"type": "Gateway", "name": "shop/edge"}) == 1
    world.rebuild(contents(GATEWAY, WEB), ())
    assert world._metrics.registry.get_sample_value(gauge, {"type": "Gateway", "name": "shop/edge"}) is None


def test_subsets_that_two_rules_define_and_workloads_without_an_address_are_counted(world):
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %s, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {v: "1"}}, {name: %s, labels: {v: "2"}}]}
"""
    nowhere = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w, namespace: shop}
spec: {network: n}
"""
    world.rebuild(contents(WEB, rule % ("a", "v2"), rule % ("b", "v3"), nowhere), ())
    value = world._metrics.registry.get_sample_value
    assert (value("pilot_destrule_subsets"), value("pilot_no_ip")) == (1, 1)
