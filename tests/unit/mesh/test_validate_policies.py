"""Rules of AuthorizationPolicy, RequestAuthentication, Telemetry, WasmPlugin and TrafficExtension beyond their schemas."""

# ruff: noqa: E501  (tables of one case a line)

import pytest

from pymesh.api import parse_text


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("AuthorizationPolicy", "{}"),
        ("AuthorizationPolicy", "action: ALLOW\nrules: [{}]"),
        ("AuthorizationPolicy", "selector: {matchLabels: {app: a}}\naction: DENY\nrules: [{from: [{source: {requestPrincipals: [a], principals: [b]}}]}, {from: [{source: {notPrincipals: ['*'], ipBlocks: [10.0.0.0/8]}}], to: [{operation: {ports: ['80'], paths: ['/a/{*}/b/{**}', '/x*']}}]}]"),
        ("AuthorizationPolicy", "action: CUSTOM\nprovider: {name: opa}\nrules: [{to: [{operation: {hosts: [a.b]}}]}]"),
        ("AuthorizationPolicy", "rules: [{when: [{key: 'request.headers[x-a]', values: [a]}, {key: 'request.auth.claims[a][b]', notValues: [c]}, {key: source.ip, values: [10.1.1.1]}]}]"),
        ("AuthorizationPolicy", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\nrules: [{from: [{source: {serviceAccounts: [ns/a, b]}}]}]"),
        ("AuthorizationPolicy", "rules: [{from: [{source: {principals: [], namespaces: [a]}}], to: [{operation: {ports: ['0'], paths: []}}], when: []}]"),
        ("AuthorizationPolicy", "rules: [{from: [{source: {trustDomains: ['*.a', 'b*', '*'], notTrustDomains: [c]}}], to: [{operation: {paths: ['/a/{*}/{**}/b', '/x/*']}}]}]"),
        ("AuthorizationPolicy", "rules: [{when: [{key: 'experimental.envoy.filters.network.mysql_proxy[db.table]', values: [a]}, {key: source.serviceAccount, values: [ns/a, b]}, {key: 'request.headers[:path]', values: [a]}]}]"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, outputPayloadToHeader: ''}]"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'https://a.b/keys', fromHeaders: [{name: x, prefix: 'Bearer '}], outputClaimToHeaders: [{header: x-y, claim: sub}], timeout: 1s}]"),
        ("RequestAuthentication", """jwtRules: [{issuer: a, jwks: '{"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}'}]"""),
        ("RequestAuthentication", """jwtRules: [{issuer: a, jwks: '{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}'}, {issuer: b, jwks: ''}]"""),
        ("Telemetry", "tracing: [{providers: [{name: a}], randomSamplingPercentage: 10.5, customTags: {t: {literal: {value: a}}, h: {header: {name: x}}}}]"),
        ("Telemetry", "metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {operation: REMOVE}, b: {value: 'x.y'}}}]}]\naccessLogging: [{filter: {expression: 'response.code >= 400'}}]"),
        ("WasmPlugin", f"url: 'oci://a.b/c:v1'\nsha256: {'a' * 64}\nphase: AUTHN\npluginConfig: {{a: [1]}}\nvmConfig: {{env: [{{name: A, value: b}}, {{name: H, valueFrom: HOST}}]}}"),
        ("WasmPlugin", "url: 'a.b:5000/c'\nmatch: [{mode: SERVER, ports: [{number: 80}]}]"),
        ("TrafficExtension", "lua: {inlineCode: 'x = 1'}\nphase: STATS\npriority: 5"),
        ("TrafficExtension", "wasm: {url: 'file:///x.wasm'}"),
    ],
)
def test_a_good_resource_has_no_problems(told, kind, spec):
    assert told(kind, spec) == []


def source(text, action="ALLOW"):
    return f"action: {action}\nrules: [{{from: [{{source: {{{text}}}}}]}}]"


def operation(text):
    return f"rules: [{{to: [{{operation: {{{text}}}}}]}}]"


def condition(text):
    return f"rules: [{{when: [{{{text}}}]}}]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("action: DENY", "error spec: action DENY needs a rule: without one it has nothing to act on"),
        ("action: CUSTOM\nrules: [{}]", "error spec: action CUSTOM needs provider.name"),
        ("provider: {name: a}\nrules: [{}]", "error provider: is for action CUSTOM, not for ALLOW"),
        ("rules: [{from: []}]", "error rules[0].from: must not be an empty list"),
        (source(""), "error rules[0].from[0].source: must have at least one field"),
        ("rules: [{to: [{}]}]", "error rules[0].to[0]: must have at least one field"),
        (source("principals: []"), "error rules[0].from[0].source: must have at least one field"),
        (source("trustDomains: [a*b]"), 'error rules[0].from[0].source.trustDomains[0]: "a*b" may have one "*", at its beginning or its end'),
        (source("trustDomains: ['*a*']"), 'error rules[0].from[0].source.trustDomains[0]: "*a*" may have one "*", at its beginning or its end'),
        (source("notTrustDomains: [a/b]"), 'error rules[0].from[0].source.notTrustDomains[0]: the trust domain "a/b" must not hold a slash'),
        (source("ipBlocks: [10.0.0.1/255.0.0.0]"), 'error rules[0].from[0].source.ipBlocks[0]: "10.0.0.1/255.0.0.0" is not a CIDR block: a length of 0 to 32 has to follow the slash'),
        (operation("paths: ['/{**}/{*}']"), 'error rules[0].to[0].operation.paths[0]: in the path "/{**}/{*}" only whole segments can be {*}, and one behind them {**}'),
        (operation("paths: ['/{*}/a b']"), 'error rules[0].to[0].operation.paths[0]: in the path "/{*}/a b" only whole segments can be {*}, and one behind them {**}'),
        (condition("key: request.auth.principal, values: ['']"), "error rules[0].when[0].values[0]: must not be empty"),
        (condition("key: experimental.envoy.filters.a, values: [b]"), 'error rules[0].when[0].key: "experimental.envoy.filters.a" is no attribute that a condition can look at'),
        (condition("key: source.serviceAccount, notValues: ['a/b/c']"), 'error rules[0].when[0].notValues[0]: "a/b/c" is not a service account ([namespace/]name, without wildcards)'),
        (condition("key: source.trustDomain, values: [a*b]"), 'error rules[0].when[0].values[0]: "a*b" may have one "*", at its beginning or its end'),
        ("selector: {matchLabels: {}}", "warning selector: a selector without labels selects every workload of the namespace"),
        (source("principals: ['']"), "error rules[0].from[0].source.principals[0]: must not be empty"),
        (source("ipBlocks: [a]"), 'error rules[0].from[0].source.ipBlocks[0]: "a" is not an IP address or a CIDR block'),
        (source("serviceAccounts: [a], namespaces: [b]"), "error rules[0].from[0].source: service accounts cannot be set with principals or namespaces"),
        (source("serviceAccounts: ['a/*']"), 'error rules[0].from[0].source.serviceAccounts[0]: "a/*" is not a service account ([namespace/]name, without wildcards)'),
        (source("namespaces: [a]", "CUSTOM\nprovider: {name: p}"), "error rules[0].from[0].source.namespaces: action CUSTOM cannot look at this"),
        (operation("ports: [http]"), 'error rules[0].to[0].operation.ports[0]: "http" is not a port'),
        (operation("paths: ['/a/{b}']"), 'error rules[0].to[0].operation.paths[0]: in the path "/a/{b}" only whole segments can be {*}, and one behind them {**}'),
        (operation("paths: ['/{**}/{**}']"), 'error rules[0].to[0].operation.paths[0]: in the path "/{**}/{**}" only whole segments can be {*}, and one behind them {**}'),
        (condition("key: request.header, values: [a]"), 'error rules[0].when[0].key: "request.header" is no attribute that a condition can look at'),
        (condition("key: destination.namespace, values: [a]"), 'error rules[0].when[0].key: "destination.namespace" is not supported: policies hold in their own namespace anyway'),
        (condition("key: 'destination.labels[a]', values: [a]"), 'error rules[0].when[0].key: "destination.labels[a]" is not supported: use the selector'),
        (condition("key: source.ip"), "error rules[0].when[0]: needs values or notValues"),
        (condition("key: source.ip, values: [a]"), 'error rules[0].when[0].values[0]: "a" is not an IP address or a CIDR block'),
        (condition("key: destination.port, values: ['65536']"), 'error rules[0].when[0].values[0]: "65536" is not a port'),
        ("action: CUSTOM\nprovider: {name: p}\n" + condition("key: source.principal, values: [a]"), 'error rules[0].when[0].key: action CUSTOM cannot look at "source.principal"'),
        ("action: DENY\nrules: [{from: [{source: {requestPrincipals: [a]}}]}]", "warning rules[0]: looks at HTTP only and names no port: on TCP ports it denies every connection"),
        ("action: DENY\n" + operation("paths: [/a]"), "warning rules[0]: looks at HTTP only and names no port: on TCP ports it denies every connection"),
        ("selector: {}\ntargetRef: {kind: Service, name: a}", "error targetRef: only one of a selector and target references can be set"),
        ("targetRefs: [{kind: Pod, name: a}]", 'error targetRefs[0].kind: "core/Pod" is nothing that a policy can attach to'),
        ("targetRefs: [{kind: Service, name: a, namespace: b}]", "error targetRefs[0].namespace: references into other namespaces are not supported"),
        ("targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: a}]", "warning targetRefs[0].kind: only policies of the root namespace attach to a GatewayClass, which is istio-system unless the mesh says otherwise"),
    ],
)
def test_an_authorization_policy(told, spec, expected):
    assert expected in told("AuthorizationPolicy", spec)


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("RequestAuthentication", "jwtRules: [{}]", "error jwtRules[0]: needs an issuer or a jwksUri"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'ftp://a'}]", 'error jwtRules[0].jwksUri: "ftp://a" is not an http or https URL'),
        ("RequestAuthentication", "jwtRules: [{issuer: a, fromHeaders: [{name: a b}]}]", 'warning jwtRules[0].fromHeaders[0].name: "a b" is not a header name'),
        ("RequestAuthentication", "jwtRules: [{issuer: a, fromHeaders: [{name: ''}]}]", "error jwtRules[0].fromHeaders[0].name: must not be empty"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, outputPayloadToHeader: a b}]", 'warning jwtRules[0].outputPayloadToHeader: "a b" is not a header name'),
        ("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{\"kty\": [1]}'}]", "error jwtRules[0].jwks: holds a key of no known kty (RSA, EC, OKP, oct), or one that is not whole"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, jwks: x}]", "error jwtRules[0].jwks: is not a JSON web key set (an object with keys)"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{\"keys\": [1]}'}]", "error jwtRules[0].jwks: keys must be a list of JSON web keys"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{\"keys\": [{\"kty\": \"RSA\", \"n\": \"x\", \"e\": \"AQAB\", \"d\": \"x\"}]}'}]", "warning jwtRules[0].jwks: holds a private key, which whoever reads this configuration learns"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, audiences: ['']}]", "error jwtRules[0].audiences[0]: must not be empty"),
        ("RequestAuthentication", "jwtRules: [{issuer: a, outputClaimToHeaders: [{header: 'a.b', claim: c}]}]", 'error jwtRules[0].outputClaimToHeaders[0].header: "a.b" is not a header name of letters, digits, "-" and "_"'),
        ("Telemetry", "tracing: [{randomSamplingPercentage: 101}]", "error tracing[0].randomSamplingPercentage: the percentage 101 must be between 0 and 100"),
        ("Telemetry", "tracing: [{}, {}]", "warning tracing: several are not supported, in Istio either"),
        ("Telemetry", "tracing: [{providers: [{name: a}, {name: b}]}]", "warning tracing[0].providers: spans go to one provider, the first"),
        ("Telemetry", "tracing: [{customTags: {t: {}}}]", "warning tracing[0].customTags.t: has none of literal, environment, header and formatter, so it is no tag"),
        ("Telemetry", "tracing: [{customTags: {t: {literal: {value: ''}}}}]", "error tracing[0].customTags.t: needs a value that is not empty"),
        ("Telemetry", "metrics: [{providers: [{name: ''}]}]", "error metrics[0].providers[0].name: a provider needs a name"),
        ("Telemetry", "metrics: [{overrides: [{tagOverrides: {t: {operation: UPSERT}}}]}]", "error metrics[0].overrides[0].tagOverrides.t: needs a value: the operation is UPSERT"),
        ("Telemetry", "metrics: [{overrides: [{tagOverrides: {t: {operation: REMOVE, value: a}}}]}]", "error metrics[0].overrides[0].tagOverrides.t.value: is not used: the operation is REMOVE"),
        ("Telemetry", "accessLogging: [{filter: {expression: 'response.code >='}}]", "error accessLogging[0].filter.expression: is not an expression in CEL: line 1, column 17: mismatched input '<EOF>'"),
        ("Telemetry", "metrics: [{overrides: [{tagOverrides: {t: {value: 'a b'}}}]}]", "warning metrics[0].overrides[0].tagOverrides.t.value: is not an expression in CEL: line 1, column 3: extraneous input 'b'"),
        ("Telemetry", "accessLogging: [{filter: {}}]", "error accessLogging[0].filter: needs an expression"),
        ("WasmPlugin", "url: oci://a\nmatch: [{ports: [{number: 80}, {number: 80}]}]", "error match[0].ports[1].number: the port 80 is listed twice"),
        ("WasmPlugin", "url: 'ftp://a'", 'error url: "ftp://a" is not an oci, http, https or file URL'),
        ("WasmPlugin", "url: 'oci://a'\nsha256: ABC", "error sha256: must be 64 hexadecimal digits in lower case"),
        ("WasmPlugin", "url: 'oci://a'\npluginConfig: 1", "error pluginConfig: must be an object"),
        ("WasmPlugin", "url: 'oci://a'\nvmConfig: {env: [{name: A, valueFrom: HOST, value: x}]}", "error vmConfig.env[0].value: is not used: the value is the host's"),
        ("WasmPlugin", "url: 'oci://a'\nvmConfig: {env: [{name: A}, {name: A}]}", 'error vmConfig.env[1]: "A" is listed twice'),
        ("WasmPlugin", "url: 'oci://a'\nmatch: [{ports: [{number: 0}]}]", "error match[0].ports[0].number: the port 0 is not between 1 and 65535"),
        ("TrafficExtension", "{}", "error spec: needs wasm or lua"),
        ("TrafficExtension", "lua: {inlineCode: ''}", "error lua.inlineCode: a script has 1 to 65536 characters"),
    ],
)
def test_what_is_wrong_is_named(told, kind, spec, expected):
    assert expected in told(kind, spec)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("AuthorizationPolicy", "true", []),
        ("AuthorizationPolicy", "maybe", ['"maybe" is neither true nor false']),
        ("PeerAuthentication", "true", ["a dry run is only for AuthorizationPolicy"]),
    ],
)
def test_a_dry_run_is_for_authorization_alone(kind, value, expected):
    text = f"apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: a, annotations: {{istio.io/dry-run: '{value}'}}}}\nspec: {{}}\n"
    assert [problem.message.rpartition("dry-run\"]: ")[2] for problem in parse_text(text, "f").problems] == expected
