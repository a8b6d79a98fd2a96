"""AuthorizationPolicies as filters of gRPC servers: which policies, in which order, under which names."""

import pytest

from pymesh.xds import proto, types

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: greeter}
spec:
  hosts: [greeter.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 50051, name: grpc}]
  endpoints: [{address: 10.0.0.9, labels: {app: greeter}}]
"""
NAME = "xds.istio.io/grpc/lds/inbound/10.0.0.9:50051"
ALL = "{rules: [{}]}"


def policy(name, spec, namespace="default", annotations="{}"):
    head = f"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: {namespace}"
    return f"{head}, annotations: {annotations}}}\nspec: {spec}\n"


@pytest.fixture
def listener(mesh, view):
    """The listener of the server, of a mesh with these policies."""
    server = view(agent="gRPC C-core", LABELS={"app": "greeter"})
    return lambda *policies: mesh(ENTRY + "".join(policies)).sees(server, types.LISTENER, NAME)[NAME]


@pytest.fixture
def filters(listener):
    """Its RBAC rules, by the last part of the filters' names."""

    def found(*policies):
        manager = proto.unpack(listener(*policies).filter_chains[0].filters[0].typed_config)
        names = [one.name for one in manager.http_filters]
        assert names.pop() == "envoy.filters.http.router"
        rules = [proto.unpack(one.typed_config).rules for one in manager.http_filters if "rbac" in one.name]
        return {name.rpartition(".")[2]: one for name, one in zip(names, rules, strict=True)}

    return found


def test_without_a_policy_nobody_is_judged(filters):
    assert filters() == {}


def test_what_is_denied_is_looked_at_before_what_is_allowed(filters):
    found = filters(policy("a", ALL), policy("b", "{action: DENY, rules: [{}, {}]}"))
    assert list(found) == ["deny", "allow"]
    assert sorted(found["allow"].policies) == ["ns[default]-policy[a]-rule[0]"]
    assert sorted(found["deny"].policies) == ["ns[default]-policy[b]-rule[0]", "ns[default]-policy[b]-rule[1]"]
    assert (found["allow"].action, found["deny"].action) == (proto.rbac.RBAC.ALLOW, proto.rbac.RBAC.DENY)


def test_an_empty_rule_is_everybody_and_no_rule_is_nobody(filters):
    (rule,) = filters(policy("a", ALL))["allow"].policies.values()
    assert (rule.permissions[0].any, rule.principals[0].any) == (True, True)
    assert not filters(policy("a", "{}"))["allow"].policies


def test_policies_of_the_root_namespace_hold_besides_those_of_the_workloads(filters):
    found = filters(policy("a", ALL), policy("a", ALL, "istio-system"), policy("a", ALL, "elsewhere"))
    assert sorted(found["allow"].policies) == ["ns[default]-policy[a]-rule[0]", "ns[istio-system]-policy[a]-rule[0]"]


@pytest.mark.parametrize(
    ("spec", "annotations"),
    [
        ("{selector: {matchLabels: {app: other}}, rules: [{}]}", "{}"),
        ("{targetRefs: [{kind: Service, name: greeter}], rules: [{}]}", "{}"),
        ("{action: AUDIT, rules: [{}]}", "{}"),
        ("{action: CUSTOM, provider: {name: x}, rules: [{}]}", "{}"),
        (ALL, '{istio.io/dry-run: "true"}'),
    ],
)
def test_what_is_not_for_the_server_is_left_out(filters, spec, annotations):
    assert filters(policy("a", spec, annotations=annotations)) == {}


def test_one_of_the_sources_and_one_of_the_operations_with_every_condition(filters):
    spec = """{rules: [{
      from: [{source: {namespaces: [a, b], notIpBlocks: [10.0.0.0/8]}}, {source: {principals: ["*"]}}],
      to: [{operation: {ports: ["1", "2"], notPaths: [/x]}}],
      when: [{key: "request.headers[h]", values: [v]}, {key: connection.sni, values: [s]}]}]}"""
    (rule,) = filters(policy("a", spec))["allow"].policies.values()
    (permission,) = rule.permissions
    ports, path, sni = permission.and_rules.rules
    assert [one.destination_port for one in ports.or_rules.rules] == [1, 2]
    assert path.not_rule.url_path.path.exact == "/x"
    assert sni.requested_server_name.exact == "s"
    first, second = rule.principals
    namespaces, address, header = first.and_ids.ids
    names = [one.authenticated.principal_name.safe_regex.regex for one in namespaces.or_ids.ids]
    assert names == [".*/ns/a/.*", ".*/ns/b/.*"]
    assert address.not_id.direct_remote_ip.address_prefix == "10.0.0.0"
    assert (header.header.name, header.header.string_match.exact) == ("h", "v")
    assert [one.WhichOneof("identifier") for one in second.and_ids.ids] == ["authenticated", "header"]


def test_a_principal_counts_in_every_spelling_of_the_trust_domain(filters):
    head = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
    settings = head + "data: {mesh: 'trustDomainAliases: [old]'}\n"
    spec = "{rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b, foreign/ns/a/sa/b]}}]}]}"
    (rule,) = filters(settings, policy("a", spec))["allow"].policies.values()
    ours, foreign = rule.principals[0].or_ids.ids
    spelled = [one.authenticated.principal_name.exact for one in ours.or_ids.ids]
    assert spelled == ["spiffe://cluster.local/ns/a/sa/b", "spiffe://old/ns/a/sa/b"]
    assert foreign.authenticated.principal_name.exact == "spiffe://foreign/ns/a/sa/b"


def test_the_listener_says_which_policies_it_was_made_of(listener):
    origins = listener(policy("a", ALL)).metadata.filter_metadata["pymesh"].fields["origins"].list_value.values
    assert "AuthorizationPolicy default/a" in [one.string_value for one in origins]
