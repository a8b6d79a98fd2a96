"""What becomes of each rule of an HTTPRoute or GRPCRoute: conditions, edits, times, backends."""

# ruff: noqa: E501  (specs in one line)

import pytest

from pymesh.xds import proto

from .gateway_api import GROUP, HTTP, OTHER, SERVICES, WEB, conditions, gateway, route, thing, unmet


@pytest.fixture
def routes(mesh, edge):
    """The routes of the virtual host for every name, of one rule."""
    return lambda rules, more="": mesh(SERVICES + gateway(HTTP) + route(rules) + more).hosts(edge, "http.80")["*:80"].routes


# Conditions on requests, and their order


def rule(match, name):
    return f"{{name: {name}, matches: [{match}], backendRefs: [{{name: web, port: 80}}]}}"


def test_rules_are_ranked_whatever_their_order(routes):
    ranked = [
        rule("{path: {type: Exact, value: /a}}", "exact"),
        rule("{path: {value: /long/prefix}}", "long"),
        rule("{path: {value: /a/}, method: GET}", "method"),
        rule("{path: {value: /a}, headers: [{name: x, value: '1'}, {name: y, value: '1'}]}", "two-headers"),
        rule("{path: {value: /b}, headers: [{name: x, value: '1'}], queryParams: [{name: q, value: '1'}]}", "query"),
        rule("{path: {value: /b}, headers: [{name: x, value: '1'}]}", "header"),
        rule("{path: {value: /b}}", "first"),
        rule("{path: {value: /a}}", "second"),
        rule("{headers: [{name: x, value: '1'}]}", "any-path"),
        rule("{path: {type: RegularExpression, value: '/x.*'}}", "regex"),
        "{name: all, backendRefs: [{name: web, port: 80}]}",
    ]
    shuffled = [*reversed(ranked[:6]), *ranked[6:8], *reversed(ranked[8:])]
    names = ["exact", "long", "method", "two-headers", "query", "header", "first", "second", "any-path", "regex", "all"]
    assert [one.name for one in routes(", ".join(shuffled))] == names


def test_of_equal_rules_the_oldest_route_has_the_request(mesh, edge):
    young = route(name="a", created="2026-02-01T00:00:00Z")
    old = route(name="b", created="2026-01-01T00:00:00Z")
    built = mesh(SERVICES + gateway(HTTP) + young + old + route(name="'0'"))
    assert [one.name for one in built.hosts(edge, "http.80")["*:80"].routes][:1] == ["default.b.0"]


def test_conditions_hold_together_and_the_first_on_a_name_counts(routes):
    match = "{path: {type: Exact, value: /a}, method: PUT, headers: [{name: X, value: '1'}, {name: x, value: '2'}], queryParams: [{name: q, type: RegularExpression, value: '[0-9]'}]}"
    (one,) = routes(rule(match, "r"))
    assert one.match.path == "/a"
    assert {header.name: header.string_match.exact for header in one.match.headers} == {"x": "1", ":method": "PUT"}
    assert [(query.name, query.string_match.safe_regex.regex) for query in one.match.query_parameters] == [("q", "[0-9]")]


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [("/a", "path_separated_prefix", "/a"), ("/a/b/", "path_separated_prefix", "/a/b"), ("/", "prefix", "/")],
)
def test_a_prefix_is_one_of_whole_segments(routes, path, field, value):
    (one,) = routes(rule(f"{{path: {{value: {path}}}}}", "r"))
    assert getattr(one.match, field) == value


def test_the_prefixes_of_istio_stay_as_they_are(mesh, view):
    virtual = thing(
        "VirtualService",
        "v",
        "{hosts: [web], http: [{match: [{uri: {prefix: /a}}], rewrite: {uri: /}, route: [{destination: {host: web, port: {number: 80}}}]}]}",
        group="networking.istio.io/v1",
    )
    (one,) = mesh(SERVICES + virtual).hosts(view(), "80")["web.default.svc.cluster.local:80"].routes
    assert (one.match.prefix, one.route.prefix_rewrite, one.route.cluster_not_found_response_code) == ("/a", "/", 0)


# Filters


@pytest.mark.parametrize(
    ("prefix", "replacement", "field", "value"),
    [
        ("/foo", "/xyz", "prefix_rewrite", "/xyz"),
        ("/foo/", "/xyz/", "prefix_rewrite", "/xyz"),
        ("/", "/xyz", "prefix_rewrite", "/xyz/"),
        ("/", "/", "prefix_rewrite", ""),
        ("/f.o", "", "regex", ("^/f\\.o/?", "/")),
        ("/f.o", "/", "regex", ("^/f\\.o/?", "/")),
    ],
)
def test_a_prefix_is_replaced_by_whole_segments(routes, prefix, replacement, field, value):
    path = f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{replacement}'}}"
    matches = f"matches: [{{path: {{value: {prefix}}}}}]"
    rewrite = f"{{{matches}, filters: [{{type: URLRewrite, urlRewrite: {{{path}}}}}], backendRefs: [{{name: web, port: 80}}]}}"
    redirect = f"{{{matches}, filters: [{{type: RequestRedirect, requestRedirect: {{{path}}}}}]}}"
    for action in (routes(rewrite)[0].route, routes(redirect)[0].redirect):
        if field == "regex":
            assert (action.regex_rewrite.pattern.regex, action.regex_rewrite.substitution) == value
        else:
            assert (action.prefix_rewrite, action.HasField("regex_rewrite")) == (value, False)


def test_a_whole_path_and_the_host_are_rewritten(routes):
    filters = (
        "filters: [{type: URLRewrite, urlRewrite: {hostname: b.example.com, path: {type: ReplaceFullPath, replaceFullPath: '/a\\1'}}}]"
    )
    (one,) = routes(f"{{{filters}, backendRefs: [{{name: web, port: 80}}]}}")
    assert one.route.host_rewrite_literal == "b.example.com"
    assert (one.route.regex_rewrite.pattern.regex, one.route.regex_rewrite.substitution) == ("/.*", "/a\\\\1")


@pytest.mark.parametrize(
    ("redirect", "port", "code"),
    [
        ("hostname: b.com", 0, "FOUND"),
        ("scheme: https", 0, "FOUND"),
        ("port: 8443, statusCode: 301", 8443, "MOVED_PERMANENTLY"),
        ("scheme: https, port: 443, statusCode: 307", 0, "TEMPORARY_REDIRECT"),
    ],
)
def test_a_redirect_names_the_port_that_is_meant(routes, redirect, port, code):
    (one,) = routes(f"{{filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]}}")
    assert one.redirect.port_redirect == port
    assert proto.route_components.RedirectAction.RedirectResponseCode.Name(one.redirect.response_code) == code


def test_a_redirect_without_a_scheme_stays_on_the_port_of_the_listener(mesh, edge):
    listener = "{name: http, port: 8000, protocol: HTTP}"
    built = mesh(gateway(listener) + route("{filters: [{type: RequestRedirect, requestRedirect: {hostname: b.com}}]}"))
    assert built.hosts(edge, "http.8000")["*:8000"].routes[0].redirect.port_redirect == 8000


@pytest.mark.parametrize(
    ("redirect", "port"), [("scheme: https", 443), ("scheme: http", 80), ("scheme: https, hostname: b.com", 0), ("scheme: https, port: 8443", 8443)]
)
def test_a_scheme_brings_its_port_where_clients_name_another(mesh, edge, redirect, port):
    listener = "{name: http, port: 8000, protocol: HTTP}"
    built = mesh(gateway(listener) + route(f"{{filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]}}"))
    assert built.hosts(edge, "http.8000")["*:8000"].routes[0].redirect.port_redirect == port


def test_headers_are_edited_and_of_two_of_a_name_the_first_counts(routes):
    edits = "set: [{name: A, value: '1'}, {name: a, value: '2'}], add: [{name: b, value: '3'}], remove: [c]"
    (one,) = routes(
        f"{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{{edits}}}}}, {{type: ResponseHeaderModifier, responseHeaderModifier: {{{edits}}}}}], backendRefs: [{{name: web, port: 80}}]}}"
    )
    for added, removed in (
        (one.request_headers_to_add, one.request_headers_to_remove),
        (one.response_headers_to_add, one.response_headers_to_remove),
    ):
        assert [(header.header.key, header.header.value, header.append_action) for header in added] == [("a", "1", 2), ("b", "3", 0)]
        assert list(removed) == ["c"]


def test_requests_are_mirrored_in_the_share_that_is_asked_for(routes):
    mirrors = ["", ", percent: 10", ", fraction: {numerator: 1, denominator: 8}", ", percent: 0"]
    filters = ", ".join(f"{{type: RequestMirror, requestMirror: {{backendRef: {{name: web, port: 80}}{share}}}}}" for share in mirrors)
    (one,) = routes(f"{{filters: [{filters}], backendRefs: [{{name: web, port: 80}}]}}")
    shares = [mirror.runtime_fraction.default_value.numerator / 10_000 for mirror in one.route.request_mirror_policies]
    assert shares == [100, 10, 12.5]


def test_a_mirror_that_is_not_there_is_told_and_left_out(mesh, edge):
    built = mesh(
        SERVICES
        + gateway(HTTP)
        + route(
            "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: gone, port: 80}}}], backendRefs: [{name: web, port: 80}]}"
        )
    )
    assert not built.hosts(edge, "http.80")["*:80"].routes[0].route.request_mirror_policies
    assert unmet(built) == ["HTTPRoute r: there is no Service default/gone"]


def test_origins_are_allowed_by_name_by_pattern_and_at_all(routes):
    def origins(*allowed):
        text = ", ".join(f"'{one}'" for one in allowed)
        (one,) = routes(
            f"{{filters: [{{type: CORS, cors: {{allowOrigins: [{text}], allowMethods: ['*'], maxAge: 7}}}}], backendRefs: [{{name: web, port: 80}}]}}"
        )
        policy = proto.unpack(one.typed_per_filter_config["envoy.filters.http.cors"])
        assert (policy.allow_methods, policy.max_age, policy.forward_not_matching_preflights.value) == ("*", "7", False)
        assert policy.HasField("forward_not_matching_preflights")
        return [match.exact or match.safe_regex.regex for match in policy.allow_origin_string_match]

    assert origins("https://a.com", "https://*.a.com") == ["https://a.com", "https://.*\\.a\\.com"]
    assert origins("*") == [r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+"]


@pytest.mark.parametrize(
    ("settings", "timeout", "each", "attempts"),
    [
        ("timeouts: {request: 10s}", 10, None, 2),
        ("timeouts: {backendRequest: 2s}", 2, None, 2),
        ("timeouts: {request: 10s, backendRequest: 2s}, retry: {attempts: 5}", 10, 2, 5),
        ("timeouts: {request: 0s}, retry: {}", 0, None, 2),
    ],
)
def test_times_and_retries_are_those_of_istio(routes, settings, timeout, each, attempts):
    (one,) = routes(f"{{{settings}, backendRefs: [{{name: web, port: 80}}]}}")
    assert one.route.timeout.seconds == timeout
    assert one.route.retry_policy.num_retries.value == attempts
    assert (one.route.retry_policy.per_try_timeout.seconds or None) == each


def test_codes_and_the_pause_between_tries_are_kept(routes):
    (one,) = routes("{retry: {codes: [503, 429], backoff: 50ms}, backendRefs: [{name: web, port: 80}]}")
    policy = one.route.retry_policy
    assert policy.retry_on == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert (list(policy.retriable_status_codes), policy.retry_back_off.base_interval.nanos) == ([503, 429], 50_000_000)


# Backends


def test_backends_share_requests_by_weight_with_edits_of_their_own(routes):
    edits = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}]}}]"
    (one,) = routes(
        f"{{backendRefs: [{{name: web, port: 80, weight: 9, {edits}}}, {{name: web, port: 9000, weight: 0}}, {{name: web, port: 9000}}]}}"
    )
    shares = one.route.weighted_clusters.clusters
    assert [(share.name, share.weight.value) for share in shares] == [(WEB, 9), (WEB.replace("80", "9000"), 1)]
    assert [len(share.request_headers_to_add) for share in shares] == [1, 0]


@pytest.mark.parametrize("backends", ["", "backendRefs: [{name: web, port: 80, weight: 0}]"])
def test_a_rule_without_backends_answers_500(routes, backends):
    (one,) = routes(f"{{name: r, {backends}}}")
    assert one.direct_response.status == 500


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("{name: gone, port: 80}", "BackendNotFound"),
        ("{group: example.com, kind: Bucket, name: web, port: 80}", "InvalidKind"),
        ("{name: web, namespace: other, port: 80}", "RefNotPermitted"),
        ("{group: multicluster.x-k8s.io, kind: ServiceImport, name: web}", "UnsupportedValue"),
        ("{group: networking.istio.io, kind: Hostname, name: gone.example.com, port: 80}", "BackendNotFound"),
    ],
)
def test_a_backend_that_is_not_there_or_not_for_the_route_is_an_error_of_its_share(mesh, edge, backend, reason):
    built = mesh(SERVICES + gateway(HTTP) + route(f"{{backendRefs: [{{name: web, port: 80}}, {backend}]}}"))
    (one,) = built.hosts(edge, "http.80")["*:80"].routes
    assert [share.name for share in one.route.weighted_clusters.clusters] == [WEB, "UnknownService"]
    assert one.route.cluster_not_found_response_code == proto.route_components.RouteAction.INTERNAL_SERVER_ERROR
    assert conditions(built, "r") == [("Accepted" if reason == "UnsupportedValue" else "ResolvedRefs", reason)]


def test_a_port_that_a_backend_does_not_have_is_told(mesh):
    assert unmet(mesh(SERVICES + gateway(HTTP) + route("{backendRefs: [{name: web, port: 81}]}"))) == [
        "HTTPRoute r: Service default/web has no port 81"
    ]


@pytest.mark.parametrize(
    ("grant", "allowed"),
    [
        ("from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: Service}]", True),
        (
            "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: Service, name: web}]",
            True,
        ),
        (
            "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: Service, name: a}]",
            False,
        ),
        ("from: [{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: default}], to: [{group: '', kind: Service}]", False),
        ("from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: third}], to: [{group: '', kind: Service}]", False),
        ("from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: Secret}]", False),
    ],
)
def test_a_grant_lets_routes_name_backends_of_its_namespace(mesh, edge, grant, allowed):
    built = mesh(
        SERVICES
        + gateway(HTTP)
        + route("{backendRefs: [{name: web, namespace: other, port: 80}]}")
        + thing("ReferenceGrant", "g", f"{{{grant}}}", "other", GROUP + "beta1")
    )
    assert built.hosts(edge, "http.80")["*:80"].routes[0].route.cluster == (OTHER if allowed else "UnknownService")


# Calls and connections


def test_calls_are_told_by_service_and_method(mesh, edge):
    matches = [
        "{method: {service: a.B, method: C}}",
        "{method: {service: a.B}}",
        "{method: {method: C}}",
        "{method: {type: RegularExpression, service: 'a.*'}}",
        "{headers: [{name: X, value: '1'}]}",
    ]
    calls = thing(
        "GRPCRoute",
        "g",
        f"{{parentRefs: [{{name: edge}}], rules: [{{matches: [{', '.join(matches)}], backendRefs: [{{name: web, port: 80}}]}}]}}",
    )
    found = mesh(SERVICES + gateway(HTTP) + calls).hosts(edge, "http.80")["*:80"].routes
    paths = [one.match.path or one.match.path_separated_prefix or one.match.safe_regex.regex or one.match.prefix for one in found]
    assert paths == ["/a.B/C", "/a.B", "/a.*/.+", "/[^/]+/C", "/"]
    assert {one.route.cluster for one in found} == {WEB}


def test_calls_are_ranked_by_their_service_then_by_their_method_then_by_headers(mesh, edge):
    header = "headers: [{name: x, value: '1'}]"
    matches = [f"{{{header}}}", "{method: {method: LongMethod}}", f"{{method: {{service: a}}, {header}}}", "{method: {service: a}}",
               "{method: {service: a, method: C}}", "{method: {service: a.Longer}}"]  # fmt: skip
    rules = [f"{{name: r{index}, matches: [{match}], backendRefs: [{{name: web, port: 80}}]}}" for index, match in enumerate(matches)]
    calls = thing("GRPCRoute", "g", f"{{parentRefs: [{{name: edge}}], rules: [{', '.join(rules)}]}}")
    found = mesh(SERVICES + gateway(HTTP) + calls).hosts(edge, "http.80")["*:80"].routes
    assert [one.name for one in found] == ["r5", "r4", "r2", "r3", "r1", "r0"]


def test_calls_without_a_backend_are_unavailable(mesh, edge):
    rules = ["{name: a, matches: [{method: {service: a}}]}", "{name: b, backendRefs: [{name: gone, port: 80}]}"]
    calls = thing("GRPCRoute", "g", f"{{parentRefs: [{{name: edge}}], rules: [{', '.join(rules)}]}}")
    none, gone = mesh(SERVICES + gateway(HTTP) + calls).hosts(edge, "http.80")["*:80"].routes
    assert none.direct_response.status == 503
    assert (gone.route.cluster, gone.route.cluster_not_found_response_code) == ("UnknownService", 0)


def test_a_grpc_route_without_rules_routes_nothing(mesh, edge):
    built = mesh(SERVICES + gateway(HTTP) + thing("GRPCRoute", "g", "{parentRefs: [{name: edge}]}"))
    assert [len(host.routes) for host in built.hosts(edge, "http.80").values()] == [0]
