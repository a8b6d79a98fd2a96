"""The Gateway API's rules: what its schemas and expressions refuse is refused, at the field."""

# ruff: noqa: E501  (a problem is one line, however long)

import pytest

from pymesh.api import parse_text

ROUTE = "parentRefs: [{name: edge}]\nrules:\n- "
BACKEND = "backendRefs: [{name: web, port: 80}]\n  "


def rule(text):
    return f"{ROUTE}{BACKEND}{text}"


ROUTES = {
    rule("matches: [{path: {value: web}}]"): 'error rules[0].matches[0].path.value: the path "web" must begin with "/"',
    rule("matches: [{path: {value: /a//b}}]"): 'error rules[0].matches[0].path.value: the path "/a//b" must not hold "//"',
    rule("matches: [{path: {value: '/a b'}}]"): 'error rules[0].matches[0].path.value: the path "/a b" holds a character that paths do not have',
    rule("matches: [{path: {type: Prefix}}]"): 'error rules[0].matches[0].path.type: expected one of Exact, PathPrefix, RegularExpression, found the string "Prefix" (did you mean "PathPrefix"?)',
    rule("matches: [{headers: [{name: a b, value: x}]}]"): 'error rules[0].matches[0].headers[0].name: "a b" is not a header name',
    rule("matches: [{headers: [{name: a, value: '(', type: RegularExpression}]}]"): 'error rules[0].matches[0].headers[0].value: "(" is not a regular expression of RE2: missing ): (',
    rule("matches: [{queryParams: [{name: a, value: ''}]}]"): "error rules[0].matches[0].queryParams[0].value: must not be empty",
    rule("filters: [{type: URLRewrite}]"): 'error rules[0].filters[0].type: a filter URLRewrite needs "urlRewrite"',
    rule("filters: [{type: CORS, cors: {}, urlRewrite: {hostname: a.b}}]"): "error rules[0].filters[0].urlRewrite: has no meaning in a filter of type CORS",
    rule("filters: [{type: CORS, cors: {}}, {type: CORS, cors: {}}]"): "error rules[0].filters[1]: there is a filter CORS already",
    rule("filters: [{type: CORS, cors: {allowOrigins: ['*', 'https://a']}}]"): 'error rules[0].filters[0].cors.allowOrigins: "*" must be the only entry',
    rule("filters: [{type: CORS, cors: {allowOrigins: ['ftp://a.com']}}]"): 'error rules[0].filters[0].cors.allowOrigins[0]: "ftp://a.com" is not an origin: write scheme://host[:port], or "*"',
    rule("filters: [{type: CORS, cors: {allowMethods: [GET, GET]}}]"): 'error rules[0].filters[0].cors.allowMethods[1]: "GET" is listed twice',
    rule("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /" + "a" * 1024 + "}}}]"): "error rules[0].filters[0].urlRewrite.path.replaceFullPath: has at most 1024 characters, found 1025",
    rule("filters: [{type: CORS, cors: {allowOrigins: [a.com]}}]"): 'error rules[0].filters[0].cors.allowOrigins[0]: "a.com" is not an origin: write scheme://host[:port], or "*"',
    rule("filters: [{type: RequestRedirect, requestRedirect: {}}]"): "error rules[0].backendRefs: a rule that redirects has no backends",
    rule("filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b, port: 1}, percent: 1, fraction: {numerator: 1}}}]"): 'error rules[0].filters[0].requestMirror.fraction: "percent" and "fraction" cannot be set together',
    rule("filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b, port: 1}, fraction: {numerator: 5, denominator: 4}}}]"): "error rules[0].filters[0].requestMirror.fraction.numerator: 5 of 4 is more than all",
    rule("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /}}}]"): 'error rules[0].filters[0].urlRewrite.path: a path of type ReplaceFullPath needs "replaceFullPath"',
    rule("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]"): "error rules[0].filters[0].urlRewrite.path: replaces a prefix, and so the rule must have exactly one match, of type PathPrefix",
    rule("filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '50%'}]}}]"): 'error rules[0].filters[0].requestHeaderModifier.set[0].value: "50%" holds an unbalanced "%" (write "%%" for a literal one)',
    rule("matches: [{headers: [{name: a, value: x}, {name: a, value: y}]}]"): 'error rules[0].matches[0].headers[1].name: "a" is listed twice',
    rule("matches: [{queryParams: [{name: a, value: " + "x" * 1025 + "}]}]"): "error rules[0].matches[0].queryParams[0].value: has at most 1024 characters, found 1025",
    rule("matches: [{headers: [{name: " + "x" * 257 + ", value: y}]}]"): "error rules[0].matches[0].headers[0].name: has at most 256 characters, found 257",
    rule("filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: x}, {name: a, value: y}]}}]"): 'error rules[0].filters[0].requestHeaderModifier.add[1].name: "a" is listed twice',
    rule("filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a, a]}}]"): 'error rules[0].filters[0].requestHeaderModifier.remove[1]: "a" is listed twice',
    rule("timeouts: {request: 1s, backendRequest: 2s}"): "error rules[0].timeouts.backendRequest: a try cannot take longer than the whole request",
    rule("timeouts: {request: 1.5s}"): 'error rules[0].timeouts.request: expected a duration of whole numbers such as "10s", "100ms" or "1h30m"',
    rule("retry: {codes: [200]}"): "error rules[0].retry.codes[0]: must be at least 400, found the number 200",
    rule("name: Web"): 'error rules[0].name: "Web" is not a valid name (lower-case letters, digits, "-" and ".", at most 253)',
    ROUTE + "backendRefs: [{name: web.shop, port: 80}]": 'error rules[0].backendRefs[0].name: "web.shop" is a host name; write the name of the Service, and its namespace in "namespace"',
    ROUTE + "backendRefs: [{name: web}]": 'error rules[0].backendRefs[0]: the required field "port" is missing',
    ROUTE + "backendRefs: [{name: web, port: 80, weight: -1}]": "error rules[0].backendRefs[0].weight: must be at least 0, found the number -1",
    "parentRefs: [{name: edge}, {name: edge}]": 'error parentRefs[1]: "edge" is listed twice; sectionName or port must differ',
    "parentRefs: [{name: edge}, {name: edge, port: 80}]": 'error parentRefs[1]: every reference to "edge" needs sectionName or port, as there are several',
    "hostnames: [10.0.0.1]": 'error hostnames[0]: "10.0.0.1" is an IP address, and a host name is needed',
    "hostnames: ['a.*.com']": 'error hostnames[0]: "a.*.com" is not a host name (lower-case letters, digits, "-" and ".", and "*." before it)',
    "rules: []": 'error rules: "rules" needs at least one item',
}  # fmt: skip


@pytest.mark.parametrize("spec", ROUTES)
def test_what_is_wrong_with_an_http_route_is_told(told, spec):
    assert ROUTES[spec] in told("HTTPRoute", spec)


GATEWAYS = {
    "{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}": 'error listeners[1].name: the name "a" is used twice',
    "{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}": 'error listeners[1]: has port, protocol and host name of the listener "a"',
    "{name: a, port: 80, protocol: HTTP, tls: {options: {a: b}}}": "error listeners[0].tls: a listener of protocol HTTP has no TLS",
    "{name: a, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}": "error listeners[0].tls.mode: a listener of protocol HTTPS ends TLS: its mode is Terminate",
    "{name: a, port: 443, protocol: HTTPS, tls: {}}": "error listeners[0].tls: a listener that ends TLS needs certificateRefs or options",
    "{name: a, port: 443, protocol: TLS}": "error listeners[0]: a listener of protocol TLS needs tls, which says whether TLS ends here",
    "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: a, namespace: Shop}]}}": 'error listeners[0].tls.certificateRefs[0].namespace: "Shop" is not the name of a namespace: it has capitals',
    "{name: a, port: 443, protocol: HTTPS, tls: {options: {a b: c}}}": 'error listeners[0].tls.options["a b"]: "a b" is not a key of the form [domain/]name',
    "{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: 5a}]}}": 'error listeners[0].allowedRoutes.kinds[0].kind: "5a" is not the name of a kind',
    "{name: a, port: 9000, protocol: TCP, hostname: a.com}": "error listeners[0].hostname: a listener of protocol TCP has no host name",
    "{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}}": 'error listeners[0].allowedRoutes.namespaces: "from: Selector" needs "selector"',
    "{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: In}]}}}}": "error listeners[0].allowedRoutes.namespaces.selector.matchExpressions[0]: the operator In needs values",
}  # fmt: skip


LISTENERS = "gatewayClassName: istio\nlisteners: [{name: a, port: 80, protocol: HTTP}]\n"
WHOLE_GATEWAYS = {
    "addresses: [{type: a, value: b}]": 'error addresses[0].type: "a" is neither Hostname nor IPAddress, nor of the form domain/path',
    "addresses: [{value: a.b}]": 'error addresses[0].value: "a.b" is not an IP address',
    "addresses: [{value: 10.0.0.1}, {value: 10.0.0.1}]": 'error addresses[1]: the address "10.0.0.1" is listed twice',
    "infrastructure: {labels: {a: b c}}": 'error infrastructure.labels.a: "b c" is not a valid label value',
    "infrastructure: {labels: {A.b/c: d}}": 'error infrastructure.labels["A.b/c"]: "A.b/c" is not a key of the form [domain/]name',
    "infrastructure: {annotations: {" + ", ".join(f"k{n}: a" for n in range(9)) + "}}": "error infrastructure.annotations: at most 8 items, found 9",
    "infrastructure: {parametersRef: {group: A, kind: B, name: c}}": 'error infrastructure.parametersRef.group: "A" is not the name of a group',
    "infrastructure: {parametersRef: {group: a, kind: B_, name: c}}": 'error infrastructure.parametersRef.kind: "B_" is not the name of a kind',
    "infrastructure: {parametersRef: {group: a, kind: B, name: ''}}": "error infrastructure.parametersRef.name: has 1 to 253 characters",
}  # fmt: skip


@pytest.mark.parametrize("rest", WHOLE_GATEWAYS)
def test_what_is_wrong_with_a_whole_gateway_is_told(told, rest):
    assert WHOLE_GATEWAYS[rest] in told("KubernetesGateway", LISTENERS + rest)


@pytest.mark.parametrize("listeners", GATEWAYS)
def test_what_is_wrong_with_listeners_is_told(told, listeners):
    assert GATEWAYS[listeners] in told("KubernetesGateway", f"gatewayClassName: istio\nlisteners: [{listeners}]")


OTHERS = {
    ("GRPCRoute", "rules: [{matches: [{method: {}}]}]"): 'error rules[0].matches[0].method: needs "service", "method" or both',
    ("GRPCRoute", "rules: [{matches: [{method: {service: " + "a" * 1025 + "}}]}]"): "error rules[0].matches[0].method.service: has at most 1024 characters, found 1025",
    ("GRPCRoute", "rules: [{matches: [{method: {service: a/b}}]}]"): 'error rules[0].matches[0].method.service: "a/b" is not the name of a service',
    ("TLSRoute", "hostnames: [10.0.0.1]"): 'error hostnames[0]: "10.0.0.1" is an IP address, and a host name is needed',
    ("TCPRoute", "rules: [{backendRefs: []}]"): 'error rules[0].backendRefs: "backendRefs" needs at least one item',
    ("ReferenceGrant", "from: [{group: '', kind: Service, namespace: a.b}]\nto: [{group: '', kind: Secret}]"): 'error from[0].namespace: "a.b" is not a DNS label (letters, digits and inner hyphens, at most 63)',
    ("BackendTLSPolicy", "targetRefs: [{group: '', kind: Service, name: a}]\nvalidation: {hostname: a.com}"): 'error validation: needs "caCertificateRefs" or "wellKnownCACertificates"',
    ("BackendTLSPolicy", "targetRefs: [{group: '', kind: Service, name: a}, {group: '', kind: Service, name: a}]\nvalidation: {hostname: a.com, wellKnownCACertificates: System}"): 'error targetRefs[1]: "a" is listed twice; sectionName must differ',
    ("GatewayClass", f"controllerName: a.b/c\ndescription: {'d' * 65}"): "error description: has at most 64 characters",
    ("GatewayClass", f"controllerName: a.b/{'c' * 250}"): "error controllerName: has at most 253 characters",
    ("BackendTLSPolicy", "targetRefs: [{group: '', kind: Service, name: a, sectionName: A}]\nvalidation: {hostname: a.com, wellKnownCACertificates: System}"): 'error targetRefs[0].sectionName: "A" is not a valid name (lower-case letters, digits, "-" and ".", at most 253)',
    ("BackendTLSPolicy", "targetRefs: [{group: '', kind: Service, name: a}]\nvalidation: {hostname: a.com, wellKnownCACertificates: System}\noptions: {a b: c}"): 'error options["a b"]: "a b" is not a key of the form [domain/]name',
    ("BackendTLSPolicy", "targetRefs: [{group: '', kind: Service, name: a}]\nvalidation: {hostname: a.com, wellKnownCACertificates: System, subjectAltNames: [{type: URI, uri: a}]}"): 'error validation.subjectAltNames[0].uri: "a" is not a URI',
    ("GatewayClass", "controllerName: istio"): 'error controllerName: "istio" is not of the form domain/path',
}  # fmt: skip


@pytest.mark.parametrize(("kind", "spec"), OTHERS)
def test_what_is_wrong_with_the_others_is_told(told, kind, spec):
    assert OTHERS[kind, spec] in told(kind, spec)


GOOD = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, hostname: "*.a.com", tls: {certificateRefs: [{name: a}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: edge}]}
"""


def test_a_gateway_is_told_from_one_of_istio_by_its_group():
    parsed = parse_text(GOOD, "f")
    assert parsed.problems == []
    assert [one.kind for one in parsed.resources] == ["KubernetesGateway", "Gateway", "HTTPRoute"]


def test_a_class_of_gateways_has_no_namespace():
    text = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: edge}\nspec: {controllerName: example.com/gateway}\n"
    assert [one.namespace for one in parse_text(text, "f").resources] == [""]


def test_what_is_not_written_has_the_schemas_defaults():
    route = parse_text(GOOD, "f").resources[-1].spec
    assert [rule.matches for rule in route.rules] == [[]]
    assert (route.parent_refs[0].kind, route.parent_refs[0].group) == ("Gateway", "gateway.networking.k8s.io")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: HTTPRoute", "is not served; use one of gateway.networking.k8s.io/v1"),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoutes",
            'is not a kind of gateway.networking.k8s.io (did you mean "HTTPRoute"?)',
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: HTTPRoute",
            "HTTPRoute belongs to gateway.networking.k8s.io, not to networking.istio.io",
        ),
    ],
)
def test_a_wrong_version_kind_or_group_is_told(head, message):
    assert message in str(parse_text(f"{head}\nmetadata: {{name: a}}\nspec: {{}}\n", "f").problems[0])
