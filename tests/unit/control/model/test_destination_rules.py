"""Which DestinationRule governs a service, and what it says of a port and a subset."""

import pytest

HOST = "reviews.shop.svc.cluster.local"


def rule(name, namespace, host=HOST, body="trafficPolicy: {loadBalancer: {simple: RANDOM}}"):
    indented = "\n  ".join(body.splitlines())
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  host: "{host}"
  {indented}
"""


def found(built, text, client="web", labels=None):
    snapshot, _ = built(text)
    one = snapshot.rules.find(HOST, "shop", client, labels or {})
    return one and one.names


def test_the_clients_namespace_comes_before_the_services_and_that_before_the_root(built):
    root, service, client = rule("root", "istio-system"), rule("service", "shop"), rule("client", "web")
    assert found(built, root) == ("root",)
    assert found(built, root + service) == ("service",)
    assert found(built, root + service + client) == ("client",)


def test_a_rule_of_the_root_namespace_does_not_count_as_a_root_clients_own(built):
    text = rule("root", "istio-system") + rule("service", "shop")
    assert found(built, text, client="istio-system") == ("service",)


def test_a_private_rule_of_the_root_namespace_counts_for_clients_there(built):
    text = rule("root", "istio-system", body="exportTo: ['.']") + rule("service", "shop")
    assert found(built, text, client="istio-system") == ("root",)
    assert found(built, text) == ("service",)


def test_a_rule_that_is_not_exported_is_not_seen_from_elsewhere(built):
    text = rule("service", "shop", body="exportTo: ['.']")
    assert found(built, text) is None
    assert found(built, text, client="shop") == ("service",)


def test_the_exact_host_wins_over_wildcards_and_the_longer_wildcard_over_the_shorter(built):
    short, long = rule("short", "web", "*.local"), rule("long", "web", "*.svc.cluster.local")
    assert found(built, short + long) == ("long",)
    assert found(built, short + long + rule("exact", "web")) == ("exact",)


def test_a_short_host_is_of_the_rules_own_namespace(built):
    assert found(built, rule("short", "shop", "reviews")) == ("short",)
    assert found(built, rule("short", "web", "reviews")) is None


def test_rules_of_one_host_are_merged_and_the_first_of_each_thing_stands(built):
    first = rule("a", "shop", body="subsets: [{name: v1, labels: {version: one}}]")
    second = rule(
        "b", "shop", body="trafficPolicy: {loadBalancer: {simple: RANDOM}}\nsubsets: [{name: v1}, {name: v2, labels: {version: two}}]"
    )
    snapshot, _ = built(first + second)
    one = snapshot.rules.find(HOST, "shop", "web", {})
    assert one.names == ("a", "b")
    assert {name: dict(subset.labels) for name, subset in one.subsets.items()} == {"v1": {"version": "one"}, "v2": {"version": "two"}}
    assert one.policy_for(80).load_balancer.simple.value == "RANDOM"


def test_rules_of_different_audiences_are_not_merged(built):
    text = rule("a", "shop", body="exportTo: ['.']\nsubsets: [{name: v1}]") + rule("b", "shop", body="subsets: [{name: v2}]")
    assert found(built, text) == ("b",)


def test_a_rule_that_selects_the_client_beats_one_for_all(built):
    text = rule("all", "web") + rule("chosen", "web", body="workloadSelector: {matchLabels: {app: cart}}")
    assert found(built, text, labels={"app": "cart"}) == ("chosen",)
    assert found(built, text, labels={"app": "other"}) == ("all",)


def test_a_rule_for_some_workloads_of_the_root_namespace_is_their_own(built):
    text = rule("root", "istio-system", body="workloadSelector: {matchLabels: {app: edge}}") + rule("service", "shop")
    assert found(built, text, client="istio-system", labels={"app": "edge"}) == ("root",)
    assert found(built, text, client="istio-system", labels={"app": "other"}) is None
    assert found(built, text, labels={"app": "edge"}) == ("service",)


def test_a_rule_of_the_clients_namespace_that_selects_others_hides_those_of_elsewhere(built):
    some = rule("some", "web", body="workloadSelector: {matchLabels: {app: cart}}")
    for other in (rule("service", "shop"), rule("root", "istio-system"), rule("wildcard", "web", "*.local")):
        assert found(built, some + other, labels={"app": "other"}) is None
        assert found(built, some + other, labels={"app": "cart"}) == ("some",)


def test_a_rule_for_others_hides_a_wider_one_of_its_namespace_and_not_the_roots(built):
    text = rule("few", "shop", body="exportTo: [other]") + rule("wide", "shop", "*.local")
    assert found(built, text) is None
    assert found(built, text, client="other") == ("few",)
    assert found(built, text + rule("root", "istio-system")) == ("root",)
    assert found(built, rule("own", "shop", body="exportTo: ['.']") + rule("wide", "shop", "*.local")) == ("wide",)


def test_of_rules_for_different_audiences_that_reach_one_client_the_newest_counts(built):
    text = rule("own", "web", body="exportTo: ['.']") + rule("all", "web") + rule("said", "web", body="exportTo: ['*']")
    assert found(built, text) == ("said",)


POLICY = """
trafficPolicy:
  loadBalancer: {simple: RANDOM}
  connectionPool: {tcp: {maxConnections: 1}}
  portLevelSettings:
  - port: {number: 81}
    connectionPool: {tcp: {maxConnections: 2}}
subsets:
- name: plain
- name: tuned
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 3}}
    portLevelSettings:
    - port: {number: 81}
      tls: {mode: DISABLE}
""".strip()


@pytest.mark.parametrize(
    ("port", "subset", "balancer", "connections", "tls"),
    [
        (80, "", "RANDOM", 1, None),
        (81, "", None, 2, None),
        (80, "plain", "RANDOM", 1, None),
        (80, "tuned", "RANDOM", 3, None),
        (81, "plain", None, 2, None),
        (81, "tuned", None, None, "DISABLE"),
    ],
)
def test_port_settings_replace_and_subset_settings_overlay(built, port, subset, balancer, connections, tls):
    snapshot, _ = built(rule("r", "shop", body=POLICY))
    policy = snapshot.rules.find(HOST, "shop", "web", {}).policy_for(port, subset)
    assert (policy.load_balancer and policy.load_balancer.simple.value) == balancer
    assert (policy.connection_pool and policy.connection_pool.tcp.max_connections) == connections
    assert (policy.tls and policy.tls.mode.value) == tls
