"""Rules of a VirtualService beyond its schema."""

# ruff: noqa: E501  (tables of one case a line)

import pytest

TO = "route: [{destination: {host: a}}]"


def http(route):
    return f"hosts: [a]\nhttp: [{{{route}}}]"


@pytest.mark.parametrize(
    "spec",
    [
        http(TO),
        "hosts: [a]\nhttp: [{route: [{destination: {host: a, subset: v1, port: {number: 80}}, weight: 70}, {destination: {host: a, subset: v2}, weight: 30}]}]",
        "hosts: [a.example.com, '*.example.org', 10.0.0.1]\ngateways: [mesh, edge, infra/edge, Edge]\nhttp: [{route: [{destination: {host: b.c}}]}]",
        "hosts: ['*']\ngateways: [edge]\nhttp: [{match: [{headers: {'@request.auth.claims.sub': {exact: a}}}], " + TO + "}]",
        "http: [{" + TO + "}]",
        http("delegate: {name: b}"),
        http("redirect: {uri: /x, redirectCode: 308}"),
        http("match: [{uri: {prefix: /a}}], redirect: {prefixRewrite: /b}"),
        http("directResponse: {status: 503, body: {string: hi}}"),
        http("retries: {attempts: 3, perTryTimeout: 1s, retryOn: '5xx,503,connect-failure'}, " + TO),
        http("retries: {attempts: 0}, " + TO),
        http("match: [{uri: {prefix: ''}, headers: {x: {}}, queryParams: {q: {regex: '[0-9]+'}}}], " + TO),
        http("headers: {request: {set: {':authority': b, x: '%REQ(y)%'}, remove: [z]}, response: {add: {p: '100%%'}}}, " + TO),
        http("fault: {delay: {fixedDelay: 1s, percentage: {value: 0.0001}}, abort: {httpStatus: 503}}, " + TO),
        http("corsPolicy: {allowOrigins: [{exact: 'https://a.b'}], allowMethods: [GET, '*'], maxAge: 60s, allowHeaders: [x-a]}, " + TO),
        http("mirror: {host: b}, mirrorPercentage: {value: 0}, " + TO),
        http("mirrors: [{destination: {host: b}, percentage: {value: 0.00001}}], " + TO),
        http("headers: {request: {set: {x: '%CEL(request.path)% 50%% %DYNAMIC_METADATA([\"a\", \"b\"])%'}}}, " + TO),
        "hosts: ['123']\nhttp: [{route: [{destination: {host: '7'}}]}]",
        "hosts: ['*']\ngateways: [edge]\nhttp: [{match: [{gateways: [mesh], headers: {'@Request.Auth.Claims[a][b]': {exact: a}}}], " + TO + "}]",
        "hosts: ['*.a.com']\ntls: [{match: [{sniHosts: [b.a.com, 'outbound_.80_._.c.a.com'], destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: a}}]}]",
        "hosts: ['outbound_.80_._.c.svc']\ngateways: [edge]\ntls: [{match: [{sniHosts: ['outbound_.80_._.c.svc']}], route: [{destination: {host: a}}]}]",
        "hosts: [a]\ntcp: [{match: [{port: 0}, {port: 1}], " + TO + "}, {" + TO + "}]",
        http("match: [{uri: {prefix: /a}}, {method: {exact: GET}}], redirect: {prefixRewrite: /b}"),
        http("match: [{port: 0, headers: {':method': {exact: GET}}, withoutHeaders: {x: {regex: '*'}}}], " + TO),
        http("redirect: {port: 0}"),
        http("corsPolicy: {allowOrigins: [{prefix: 'https://'}, {regex: '.*'}]}, " + TO),
        "hosts: [a]\ntcp: [{match: [{port: 27017, sourceSubnet: 10.1.2.3}], route: [{destination: {host: a}}]}]",
    ],
)
def test_a_good_virtual_service_has_no_problems(told, spec):
    assert told("VirtualService", spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hosts: [a]", "error spec: needs at least one of http, tls and tcp"),
        ("hosts: ['*']\nhttp: [{" + TO + "}]", 'error hosts[0]: the host "*" is only for gateways, not for the mesh'),
        ("hosts: ['a.*.b']\nhttp: [{" + TO + "}]", 'error hosts[0]: "a.*.b" is not a host name: the label "*" is malformed'),
        ("hosts: [a_b]\nhttp: [{" + TO + "}]", 'error hosts[0]: "a_b" is not a host name: the label "a_b" is malformed'),
        ("hosts: [a.123]\nhttp: [{" + TO + "}]", 'error hosts[0]: "a.123" is not a host name: its last label "123" is all digits'),
        ("hosts: ['']\nhttp: [{" + TO + "}]", 'error hosts[0]: "" is not a host name: it must have 1 to 255 characters'),
        ("hosts: [a.b.c, '*.b.c']\nhttp: [{" + TO + "}]", 'error hosts[1]: the host "*.b.c" overlaps with "a.b.c" of the same VirtualService'),
        ("hosts: [a]\ngateways: [a/b/c]\nhttp: [{" + TO + "}]", 'error gateways[0]: "a/b" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        ("hosts: [a]\ngateways: [./edge]\nhttp: [{" + TO + "}]", 'error gateways[0]: "." is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        (http("mirrors: [{destination: {host: b}, percentage: {value: 100.1}}], " + TO), "error http[0].mirrors[0].percentage.value: the percentage 100.1 must be between 0 and 100"),
        ("hosts: [a]\ngateways: [mesh, edge]\nhttp: [{match: [{gateways: [edge], headers: {'@request.auth.claims.a': {exact: a}}}], " + TO + "}]", 'error http[0].match[0].headers["@request.auth.claims.a"]: a condition on token claims is only for routes of gateways'),
        ("hosts: [a]\ngateways: [edge.infra]\nhttp: [{" + TO + "}]", 'warning gateways[0]: "edge.infra" is the old form of a gateway name; write "namespace/name"'),
        ("hosts: [a]\nexportTo: [., ml]\nhttp: [{" + TO + "}]", 'error exportTo[1]: the namespace "ml" is listed twice'),
        ("hosts: [a]\nexportTo: ['*', b]\nhttp: [{" + TO + "}]", 'error exportTo: "*" must be the only entry'),
        ("hosts: [a]\nexportTo: ['~']\nhttp: [{" + TO + "}]", 'error exportTo[0]: "~" is only for ServiceEntry'),
        ("gateways: [g]\nhttp: [{" + TO + "}]", "error gateways: a VirtualService without hosts is a delegate, which must not have gateways"),
        ("http: [{delegate: {name: b}}]", "error http[0].delegate: a delegate must not delegate again"),
        (http("delegate: {name: b}, " + TO), 'error http[0].route: "route" has no meaning beside "delegate"'),
        (http("timeout: 5s"), "error http[0]: needs one of route, redirect and directResponse"),
        (http("redirect: {uri: /a}, " + TO), 'error http[0].route: "route" has no meaning beside "redirect"'),
        (http("redirect: {uri: /a}, directResponse: {status: 200}"), 'error http[0].directResponse: "directResponse" has no meaning beside "redirect"'),
        (http("directResponse: {status: 200}, rewrite: {uri: /a}"), 'error http[0].rewrite: "rewrite" has no meaning beside "directResponse"'),
        (http("redirect: {}"), "error http[0].redirect: needs at least one of uri, prefixRewrite, authority, scheme, port and derivePort"),
        (http("redirect: {uri: /a, prefixRewrite: /b}"), 'error http[0].redirect.prefixRewrite: "uri" and "prefixRewrite" cannot be set together'),
        (http("match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}"), 'error http[0].redirect.prefixRewrite: "prefixRewrite" needs a prefix wherever the route matches a uri'),
        (http("redirect: {uri: /a, redirectCode: 200}"), "error http[0].redirect.redirectCode: the status 200 is no redirect (300 to 399)"),
        (http("redirect: {scheme: ftp}"), 'error http[0].redirect.scheme: the scheme "ftp" must be http or https'),
        (http("directResponse: {status: 199}"), "error http[0].directResponse.status: the status 199 is not between 200 and 599"),
        (http("rewrite: {}, " + TO), "error http[0].rewrite: needs at least one of uri, uriRegexRewrite and authority"),
        (http("rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}, " + TO), 'error http[0].rewrite.uriRegexRewrite: "uri" and "uriRegexRewrite" cannot be set together'),
        (http("rewrite: {uriRegexRewrite: {match: a}}, " + TO), 'error http[0].rewrite.uriRegexRewrite: needs "rewrite"'),
        (http("rewrite: {uriRegexRewrite: {match: '(?=a)', rewrite: b}}, " + TO), 'error http[0].rewrite.uriRegexRewrite.match: "(?=a)" is not a regular expression of RE2: invalid perl operator: (?='),
        (http("retries: {attempts: -1}, " + TO), "error http[0].retries.attempts: the number of attempts -1 is negative"),
        (http("retries: {perTryTimeout: 1s}, " + TO), "error http[0].retries.perTryTimeout: has no meaning without attempts"),
        (http("retries: {attempts: 1, retryOn: '5xx,never'}, " + TO), 'error http[0].retries.retryOn: "never" is neither a retry condition nor a status code'),
        (http("retries: {attempts: 1, retryOn: '999'}, " + TO), 'error http[0].retries.retryOn: "999" is neither a retry condition nor a status code'),
        (http("route: [{destination: {host: a}, weight: -1}]"), "error http[0].route[0].weight: the weight -1 is negative"),
        (http("route: [{destination: {host: a}}, {destination: {host: b}}]"), "error http[0].route: the weights of several destinations must not all be 0"),
        (http("route: [{destination: {host: '*'}}]"), 'error http[0].route[0].destination.host: the destination "*" is no service'),
        (http("route: [{destination: {host: a, subset: v.1}}]"), 'error http[0].route[0].destination.subset: "v.1" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        (http("route: [{destination: {host: a, port: {number: 70000}}}]"), "error http[0].route[0].destination.port.number: the port 70000 is not between 1 and 65535"),
        (http("route: [{destination: {host: a, port: {}}}]"), "error http[0].route[0].destination.port: the port 0 is not between 1 and 65535"),
        (http("match: [{uri: {regex: '('}}], " + TO), 'error http[0].match[0].uri.regex: "(" is not a regular expression of RE2: missing ): ('),
        (http("match: [{uri: {regex: ''}}], " + TO), "error http[0].match[0].uri.regex: the regular expression must not be empty"),
        (http("match: [{method: {prefix: ''}}], " + TO), "error http[0].match[0].method.prefix: the prefix must not be empty"),
        (http("match: [{headers: {'a b': {}}}], " + TO), 'error http[0].match[0].headers["a b"]: "a b" is not a header name'),
        (http("match: [{headers: {'@request.auth.claims.sub': {exact: a}}}], " + TO), 'error http[0].match[0].headers["@request.auth.claims.sub"]: a condition on token claims is only for routes of gateways'),
        (http("match: [{port: 65536}], " + TO), "error http[0].match[0].port: the port 65536 is not between 1 and 65535"),
        (http("match: [{headers: {':path ': {}}}], " + TO), 'error http[0].match[0].headers[":path "]: ":path " is not a header name'),
        (http("match: [{headers: {':host': {}}}], " + TO), 'error http[0].match[0].headers[":host"]: ":host" is not a header name'),
        (http("match: [{headers: {x: {regex: '*'}}}], " + TO), 'error http[0].match[0].headers.x.regex: "*" is not a regular expression of RE2: no argument for repetition operator: *'),
        (http("match: [{uri: {regex: '*'}}], " + TO), 'error http[0].match[0].uri.regex: "*" is not a regular expression of RE2: no argument for repetition operator: *'),
        (http("corsPolicy: {allowOrigins: [{}]}, " + TO), "error http[0].corsPolicy.allowOrigins[0]: an origin must not be empty"),
        (http("retries: {attempts: 1, retryOn: '5xx, reset'}, " + TO), 'error http[0].retries.retryOn: " reset" is neither a retry condition nor a status code (write the list without spaces)'),
        (http("retries: {attempts: 1, retryOn: '5xx,'}, " + TO), 'error http[0].retries.retryOn: "" is neither a retry condition nor a status code'),
        (http("retries: {retryRemoteLocalities: false}, " + TO), "error http[0].retries.retryRemoteLocalities: has no meaning without attempts"),
        ("hosts: [a]\ngateways: [ns/a.b]\nhttp: [{" + TO + "}]", 'error gateways[0]: "a.b" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        ("hosts: ['outbound_.80_._.c.svc']\ngateways: [edge, mesh]\ntls: [{match: [{sniHosts: ['outbound_.80_._.c.svc']}], " + TO + "}]", 'error tls[0].match[0].sniHosts[0]: "outbound_.80_._.c.svc" is not a host name: the label "outbound_" is malformed'),
        ("hosts: ['outbound_.80_._.c.svc']\ngateways: [edge]\nhttp: [{" + TO + "}]", 'error hosts[0]: "outbound_.80_._.c.svc" is not a host name: the label "outbound_" is malformed'),
        ("hosts: ['*.a.com']\ntls: [{match: [{sniHosts: ['outbound_.80_._.c.svc']}], " + TO + "}]", 'error tls[0].match[0].sniHosts[0]: the server name "outbound_.80_._.c.svc" belongs to none of the hosts of this VirtualService'),
        (http("match: [{sourceNamespace: a.b}], " + TO), 'error http[0].match[0].sourceNamespace: "a.b" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        (http("match: [{sourceLabels: {app: '*'}}], " + TO), 'error http[0].match[0].sourceLabels.app: "*" is not a valid label value'),
        (http("headers: {request: {remove: [Host]}}, " + TO), 'error http[0].headers.request.remove[0]: the header "Host" cannot be changed here'),
        (http("headers: {response: {set: {':status': a}}}, " + TO), 'error http[0].headers.response.set[":status"]: the header ":status" cannot be changed here'),
        (http("headers: {request: {set: {x: '50%'}}}, " + TO), 'error http[0].headers.request.set.x: "50%" holds an unbalanced "%" (write "%%" for a literal one)'),
        (http('headers: {request: {set: {x: "a\\nb"}}}, ' + TO), "error http[0].headers.request.set.x: a header value must not hold control characters"),
        (http("rewrite: {authority: b}, headers: {request: {set: {Host: c}}}, " + TO), "error http[0].headers.request.set.Host: the authority of the request is already rewritten"),
        (http("fault: {delay: {fixedDelay: 1s, percent: 5}}, " + TO), "warning http[0].fault.delay.percent: deprecated; use percentage"),
        (http("corsPolicy: {allowOrigin: [a]}, " + TO), "warning http[0].corsPolicy.allowOrigin: deprecated; use allowOrigins"),
        (http("fault: {}, " + TO), "error http[0].fault: needs delay or abort"),
        (http("fault: {delay: {exponentialDelay: 1s}}, " + TO), "error http[0].fault.delay.exponentialDelay: exponential delays are not supported, by Istio either; use fixedDelay"),
        (http("fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}, " + TO), "error http[0].fault.delay.percentage.value: the percentage 101 must be 0 or between 0.0001 and 100"),
        (http("fault: {abort: {httpStatus: 99}}, " + TO), "error http[0].fault.abort.httpStatus: the status 99 is not between 200 and 599"),
        (http("fault: {abort: {grpcStatus: BROKEN}}, " + TO), 'error http[0].fault.abort.grpcStatus: "BROKEN" is not the name of a gRPC status'),
        (http("fault: {delay: {percentage: {value: 1}}}, " + TO), "warning http[0].fault.delay: says for how long in no fixedDelay, so nothing is delayed"),
        (http("fault: {abort: {percentage: {value: 1}}}, " + TO), "warning http[0].fault.abort: names no error (httpStatus or grpcStatus), so nothing is aborted"),
        (http("corsPolicy: {allowMethods: [FETCH]}, " + TO), 'error http[0].corsPolicy.allowMethods[0]: "FETCH" is not a method (GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT, OPTIONS, TRACE, *)'),
        (http("corsPolicy: {maxAge: 1500ms}, " + TO), "error http[0].corsPolicy.maxAge: must be whole seconds"),
        (http("mirror: {host: b}, mirrors: [{destination: {host: c}}], " + TO), 'error http[0].mirrors: "mirror" and "mirrors" cannot be set together'),
        (http("mirror: {host: b}, mirrorPercent: 101, " + TO), "error http[0].mirrorPercent: the percentage 101 is over 100"),
        (http("mirror: {host: b}, mirrorPercent: 10, " + TO), "warning http[0].mirrorPercent: deprecated; use mirrorPercentage"),
        ("hosts: [a]\ntls: [{match: [], route: [{destination: {host: a}}]}]", "error tls[0].match: a TLS route needs at least one match"),
        ("hosts: [a]\ntls: [{match: [{sniHosts: [b]}], route: [{destination: {host: a}}]}]", 'error tls[0].match[0].sniHosts[0]: the server name "b" belongs to none of the hosts of this VirtualService'),
        ("hosts: [a]\ntls: [{match: [{sniHosts: [a], destinationSubnets: [10.0.0.0/33]}], route: [{destination: {host: a}}]}]", 'error tls[0].match[0].destinationSubnets[0]: "10.0.0.0/33" is not a CIDR block: a length of 0 to 32 has to follow the slash'),
        ("hosts: [a]\ntcp: [{match: [{destinationSubnets: [10.0.0.0/255.0.0.0]}], " + TO + "}]", 'error tcp[0].match[0].destinationSubnets[0]: "10.0.0.0/255.0.0.0" is not a CIDR block: a length of 0 to 32 has to follow the slash'),
        ("hosts: [a]\ntcp: [{}]", "error tcp[0]: needs at least one destination"),
    ],
)
def test_a_broken_rule_is_told_at_its_field(told, spec, expected):
    assert expected in told("VirtualService", spec)


def test_a_body_over_one_mebibyte_is_an_error_and_over_100_kib_a_warning(told):
    def body(size):
        return told("VirtualService", http(f"directResponse: {{status: 200, body: {{string: {'x' * size}}}}}"))

    assert body(102400) == []
    assert body(102401) == ["warning http[0].directResponse.body: a body of 102401 bytes makes every proxy's configuration large"]
    assert body(1048577) == ["error http[0].directResponse.body: the body of 1048577 bytes is over the limit of 1048576"]


def test_a_route_behind_a_catch_all_is_reported_as_unreachable(told):
    spec = f"hosts: [a]\nhttp: [{{{TO}}}, {{match: [{{uri: {{prefix: /a}}}}], {TO}}}]"
    assert told("VirtualService", spec) == ["warning http[1]: never reached: http[0] has no match and takes every request"]


def test_a_longer_prefix_behind_a_shorter_one_is_reported(told):
    spec = f"hosts: [a]\nhttp: [{{match: [{{uri: {{prefix: /a}}}}], {TO}}}, {{match: [{{uri: {{prefix: /a/b}}}}, {{uri: {{exact: /c}}}}], {TO}}}]"
    assert told("VirtualService", spec) == ["warning http[1].match[0]: never matches: an earlier condition takes these requests"]


def test_equal_paths_with_other_headers_are_not_reported(told):
    spec = f"hosts: [a]\nhttp: [{{match: [{{uri: {{prefix: /a}}, headers: {{x: {{exact: b}}}}}}], {TO}}}, {{match: [{{uri: {{prefix: /a}}}}], {TO}}}]"
    assert told("VirtualService", spec) == []


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (f"tcp: [{{{TO}}}, {{match: [{{port: 1}}], {TO}}}]", ["warning tcp[1]: never reached: tcp[0] has no match and takes every connection"]),
        (
            f"tcp: [{{match: [{{port: 1}}], {TO}}}, {{match: [{{port: 1}}], {TO}}}]",
            ["warning tcp[1]: never reached: earlier routes take all of its connections"],
        ),
        (
            f"tls: [{{match: [{{sniHosts: [a]}}], {TO}}}, {{match: [{{sniHosts: [a]}}, {{sniHosts: [a], port: 1}}], {TO}}}]",
            ["warning tls[1].match[0]: never matches: an earlier condition takes these connections"],
        ),
        (f"tls: [{{match: [{{sniHosts: [a], port: 1}}], {TO}}}, {{match: [{{sniHosts: [a]}}], {TO}}}]", []),
    ],
)
def test_routes_of_connections_that_are_never_reached_are_reported(told, routes, expected):
    assert told("VirtualService", f"hosts: [a]\n{routes}") == expected


def test_a_condition_that_stands_twice_in_one_route_is_reported(told):
    spec = http(f"match: [{{uri: {{exact: /a}}}}, {{uri: {{exact: /a}}}}], {TO}")
    assert told("VirtualService", spec) == ["warning http[0].match[1]: never matches: an earlier condition takes these requests"]
