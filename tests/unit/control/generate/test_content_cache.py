"""Equal content has an equal version, and is made once for all proxies that see the same."""

from pymesh.xds import types
from pymesh_control.generate import generate

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s}
spec:
  hosts: [%s.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}]
  endpoints: [{address: 10.0.0.1, labels: {b: "2", a: "1"}}]
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: chosen}
spec: {host: a, workloadSelector: {matchLabels: {app: one}}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
"""
TEXT = ENTRY % ("a", "a") + ENTRY % ("b", "b")
NAME = "outbound|80||a.default.svc.cluster.local"


def versions(built, view):
    asked = {types.CLUSTER: None, types.ENDPOINT: None, types.LISTENER: None, types.ROUTE: frozenset({"80"})}
    return {(url, name): one.version for url, names in asked.items() for name, one in generate(built.snapshot, view, url, names).items()}


def test_the_same_configuration_has_the_same_versions(mesh, view):
    assert versions(mesh(TEXT), view()) == versions(mesh(TEXT), view())


def test_a_change_changes_only_what_it_touches(mesh, view):
    before, after = versions(mesh(TEXT), view()), versions(mesh(TEXT.replace("10.0.0.1", "10.0.0.2", 1)), view())
    assert {key for key in before if before[key] != after[key]} == {(types.ENDPOINT, NAME)}


def test_proxies_that_see_the_same_share_what_was_made(mesh, view):
    built = mesh(TEXT)
    one = generate(built.snapshot, view(LABELS={"app": "one"}), types.CLUSTER, None)[NAME]
    assert generate(built.snapshot, view(LABELS={"app": "two"}), types.CLUSTER, None)[NAME] is one


def test_labels_count_where_a_rule_asks_for_them(mesh, view):
    built = mesh(TEXT + RULE)
    chosen, other = (built.clusters(view(LABELS={"app": name}))[NAME] for name in ("one", "two"))
    assert chosen.lb_policy != other.lb_policy


def test_only_the_names_asked_for_are_given(mesh, view):
    found = generate(mesh(TEXT).snapshot, view(), types.CLUSTER, frozenset({NAME, "outbound|1||nobody"}))
    assert set(found) == {NAME}


def test_secrets_are_not_made_here(mesh, view):
    assert generate(mesh(TEXT).snapshot, view(), types.SECRET, frozenset({"default"})) == {}
