"""What gRPC applications without a proxy are told of: their own settings, and nothing that others have."""

import pytest

from pymesh_control.analyze.proxyless import Client, in_vain

from .meshes import subject, thing

GREETER = thing(
    "ServiceEntry", "greeter", "{hosts: [greeter.default.svc.cluster.local], location: MESH_INTERNAL, ports: [{number: 7070, name: grpc}]}"
)  # fmt: skip


def told(text, namespace="default", app="a"):
    return [found.sentence.partition(" has no")[0] for found in in_vain(subject(text), [Client(namespace, {"app": app})])]


def route(text, more=""):
    http = f"[{{{text}, route: [{{destination: {{host: greeter}}}}]}}]"
    return GREETER + thing("VirtualService", "greeter", f"{{hosts: [greeter]{more}, http: {http}}}")


def rule(text, more=""):
    return GREETER + thing("DestinationRule", "greeter", f"{{host: greeter{more}, trafficPolicy: {{{text}}}}}")


def policy(rest, annotations="{}"):
    return thing("AuthorizationPolicy", "a", f"{{rules: [{{}}], {rest}}}", annotations=annotations)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (route("rewrite: {uri: /x}, corsPolicy: {allowMethods: [GET]}"), ["http[0].rewrite", "http[0].corsPolicy"]),
        (route("headers: {request: {remove: [x]}}"), ["http[0].headers"]),
        (route("match: [{queryParams: {a: {exact: b}}}]"), ["http[0].match[0].queryParams"]),
        (route("retries: {attempts: 2, perTryTimeout: 1s}"), ["http[0].retries.perTryTimeout"]),
        (route("retries: {attempts: 2, retryOn: '5xx,reset'}"), ["http[0].retries.retryOn"]),
        (route("retries: {attempts: 2, retryOn: '5xx,unavailable'}, timeout: 1s"), []),
        (route("fault: {abort: {grpcStatus: ABORTED, percentage: {value: 1}}}"), []),
        (rule("connectionPool: {tcp: {maxConnections: 1}, http: {maxRetries: 1, http2MaxRequests: 1}}"),
         ["trafficPolicy.connectionPool.tcp", "trafficPolicy.connectionPool.http.maxRetries"]),
        (rule("portLevelSettings: [{port: {number: 7070}, tls: {mode: SIMPLE}}]"), ["trafficPolicy.portLevelSettings[0].tls.mode"]),
        (rule("tls: {mode: ISTIO_MUTUAL}"), []),
        (rule("loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s}}}"),
         ["trafficPolicy.loadBalancer.consistentHash.httpCookie"]),
    ],
)  # fmt: skip
def test_settings_of_calls(text, places):
    assert told(text) == places


@pytest.mark.parametrize(
    "text",
    [
        route("rewrite: {uri: /x}").replace("name: grpc}", "name: http}"),
        route("rewrite: {uri: /x}", ", exportTo: [other]"),
        route("rewrite: {uri: /x}", ", gateways: [edge]"),
        rule("tunnel: {targetHost: a, targetPort: 1}", ", exportTo: [other]"),
    ],
    ids=["not gRPC", "not seen", "at a gateway", "a rule not seen"],
)
def test_settings_of_others_are_not_told(text):
    assert told(text) == []


def test_policies_that_servers_do_not_enforce():
    text = policy("action: AUDIT, selector: {matchLabels: {app: a}}")
    assert [bool(told(text, *place)) for place in (("default", "a"), ("default", "b"), ("other", "a"))] == [True, False, False]
    assert told(policy("targetRefs: [{kind: Service, name: a}]"))
    assert not told(policy("action: DENY"))


def test_envoy_filters_change_no_envoy():
    change = "{configPatches: [{applyTo: CLUSTER, patch: {operation: REMOVE}}]}"
    assert [found.sentence for found in in_vain(subject(thing("EnvoyFilter", "a", change)), [Client("default", {})])] == [
        "has no effect for gRPC without a proxy: there is no Envoy to change"
    ]


def test_nothing_is_told_where_nobody_is_without_a_proxy():
    assert list(in_vain(subject(route("rewrite: {uri: /x}")), [])) == []
