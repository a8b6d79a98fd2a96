"""Mutual TLS per port of a workload: workload before namespace before mesh, the oldest of equals."""

from pymesh_control.model.authentication import Mode


def peers(name, namespace, body):
    return f"""
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec: {body}
"""


def mode(built, text, *, namespace="shop", labels=None, port=8080):
    return built(text)[0].authentication.mode(namespace, labels or {}, port)


MESH = peers("mesh", "istio-system", "{mtls: {mode: STRICT}}")
NAMESPACE = peers("ns", "shop", "{mtls: {mode: DISABLE}}")
WORKLOAD = peers("w", "shop", "{selector: {matchLabels: {app: a}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {9090: {mode: STRICT}}}")


def test_without_any_policy_both_kinds_of_connection_are_taken(built):
    assert mode(built, "") is Mode.PERMISSIVE


def test_the_narrower_policy_wins(built):
    assert mode(built, MESH) is Mode.STRICT
    assert mode(built, MESH + NAMESPACE) is Mode.DISABLE
    assert mode(built, MESH + NAMESPACE + WORKLOAD, labels={"app": "a"}) is Mode.PERMISSIVE
    assert mode(built, MESH + NAMESPACE + WORKLOAD, labels={"app": "b"}) is Mode.DISABLE


def test_a_port_may_have_a_mode_of_its_own(built):
    assert mode(built, WORKLOAD, labels={"app": "a"}, port=9090) is Mode.STRICT


def test_an_unset_mode_inherits(built):
    unset = peers("w", "shop", "{selector: {matchLabels: {app: a}}, mtls: {mode: UNSET}, portLevelMtls: {9090: {mode: UNSET}}}")
    assert mode(built, MESH + unset, labels={"app": "a"}) is Mode.STRICT
    assert mode(built, NAMESPACE + unset, labels={"app": "a"}, port=9090) is Mode.DISABLE


def test_of_two_policies_at_one_level_the_older_stands(built):
    assert mode(built, NAMESPACE + peers("later", "shop", "{mtls: {mode: STRICT}}")) is Mode.DISABLE


def test_a_selecting_policy_of_the_root_namespace_reaches_all_namespaces(built):
    text = peers("w", "istio-system", "{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}}")
    assert mode(built, text, labels={"app": "a"}) is Mode.STRICT
    assert mode(built, text) is Mode.PERMISSIVE


def test_what_clients_infer_of_a_namespace_ignores_workload_policies(built):
    assert built(NAMESPACE + WORKLOAD)[0].authentication.namespace_mode("shop") is Mode.DISABLE


def test_the_policy_that_decides_is_known(built):
    def decides(labels, port=8080, text=MESH + NAMESPACE + WORKLOAD):
        rule = built(text)[0].authentication.deciding("shop", labels, port)
        return rule and str(rule.origin)

    assert decides({"app": "a"}) == "PeerAuthentication shop/w"
    assert decides({"app": "b"}) == "PeerAuthentication shop/ns"
    assert decides({"app": "b"}, text=MESH + WORKLOAD) == "PeerAuthentication istio-system/mesh"
    assert decides({"app": "b"}, text=WORKLOAD) is None
    unset = peers("w", "shop", "{selector: {matchLabels: {app: a}}, portLevelMtls: {9090: {mode: STRICT}}}")
    assert decides({"app": "a"}, text=MESH + unset) == "PeerAuthentication istio-system/mesh"
    assert decides({"app": "a"}, port=9090, text=MESH + unset) == "PeerAuthentication shop/w"
