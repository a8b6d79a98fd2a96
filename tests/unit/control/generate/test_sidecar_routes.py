"""RDS for sidecars: virtual hosts, their domains, and what becomes of hosts that nothing declares."""

import pytest

from pymesh.xds import types

REVIEWS = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  addresses: [10.96.0.7]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 8080, name: http-alt}, {number: 90, name: tcp}]
  endpoints: [{address: 10.0.0.1}]
"""
OUTSIDE = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [s3.example.com]
  resolution: DNS
  ports: [{number: 80, name: http}]
"""
REGISTRY_ONLY = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
"""
HOST = "reviews.default.svc.cluster.local"


def route(name, hosts, body="route: [{destination: {host: reviews}}]", more=""):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: {hosts}
  {more}
  http:
  - name: {name}
    {body}
"""


def test_a_port_has_a_virtual_host_for_every_service_and_one_for_the_rest(mesh, view):
    hosts = mesh(REVIEWS + OUTSIDE).hosts(view(), "80")
    assert list(hosts) == [f"{HOST}:80", "s3.example.com:80", "allow_any"]
    assert list(hosts["s3.example.com:80"].domains) == ["s3.example.com", "s3.example.com."]


def test_clients_of_the_same_namespace_may_use_the_short_name(mesh, view):
    built = mesh(REVIEWS)
    near = [HOST, HOST + ".", "reviews", "reviews.default", "reviews.default.svc", "10.96.0.7"]
    assert list(built.hosts(view(), "80")[f"{HOST}:80"].domains) == near
    far = [HOST, HOST + ".", "reviews.default", "reviews.default.svc", "10.96.0.7"]
    assert list(built.hosts(view(NAMESPACE="other"), "80")[f"{HOST}:80"].domains) == far


def test_ports_in_host_headers_do_not_matter(mesh, view):
    configuration = mesh(REVIEWS).routes(view(), "80")
    assert configuration.ignore_port_in_host_matching
    assert not configuration.validate_clusters.value


def test_a_full_name_is_never_lost_to_anothers_short_name(mesh, view):
    short = OUTSIDE.replace("s3.example.com", "reviews.default").replace("name: outside", "name: clash")
    hosts = mesh(REVIEWS + short).hosts(view(), "80")
    assert "reviews.default" in hosts["reviews.default:80"].domains
    assert "reviews.default" not in hosts[f"{HOST}:80"].domains


def test_a_service_without_rules_is_called_with_istios_default_retries(mesh, view):
    made = mesh(REVIEWS).hosts(view(), "80")[f"{HOST}:80"].routes[0]
    assert (made.name, made.match.prefix, made.route.cluster) == ("default", "/", f"outbound|80||{HOST}")
    assert made.route.HasField("timeout")
    assert made.route.timeout.seconds == 0
    policy = made.route.retry_policy
    assert policy.num_retries.value == 2
    assert policy.retry_on == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert policy.host_selection_retry_max_attempts == 5
    assert [one.name for one in policy.retry_host_predicate] == ["envoy.retry_host_predicates.previous_hosts"]
    assert not policy.retriable_status_codes
    assert not policy.HasField("per_try_timeout")


def test_a_service_without_rules_for_its_requests_is_tried_at_another_instance_whatever_a_hash_says(mesh, view):
    hashed = "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: user}}}"
    rule = f"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: reviews, {hashed}}}\n"
    action = mesh(REVIEWS + rule).hosts(view(), "80")[f"{HOST}:80"].routes[0].route
    assert action.hash_policy[0].header.header_name == "user"
    assert action.retry_policy.retry_host_predicate


def test_the_meshs_own_retry_defaults_come_before_istios(mesh, view):
    settings = REGISTRY_ONLY.replace("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", "defaultHttpRetryPolicy: {%s}")
    own = settings % "attempts: 5, retryOn: reset, retryIgnorePreviousHosts: false"
    policy = mesh(own + REVIEWS).hosts(view(), "80")[f"{HOST}:80"].routes[0].route.retry_policy
    assert (policy.num_retries.value, policy.retry_on, len(policy.retry_host_predicate)) == (5, "reset", 0)
    settings = settings % "attempts: 0"
    assert not mesh(settings + REVIEWS).hosts(view(), "80")[f"{HOST}:80"].routes[0].route.HasField("retry_policy")


def test_undeclared_hosts_are_passed_on_or_blocked_as_the_mesh_says(mesh, view):
    assert mesh(REVIEWS).hosts(view(), "80")["allow_any"].routes[0].route.cluster == "PassthroughCluster"
    blocked = mesh(REVIEWS + REGISTRY_ONLY).hosts(view(), "80")["block_all"]
    assert list(blocked.domains) == ["*"]
    assert blocked.routes[0].direct_response.status == 502
    assert "REGISTRY_ONLY" in blocked.routes[0].direct_response.body.inline_string


def test_a_single_services_routes_take_every_host(mesh, view):
    hosts = mesh(REVIEWS + route("r", "[reviews]")).hosts(view(), f"{HOST}:80")
    assert list(hosts) == [f"{HOST}:80"]
    assert list(hosts[f"{HOST}:80"].domains) == ["*"]
    assert hosts[f"{HOST}:80"].routes[0].name == "r"


@pytest.mark.parametrize("name", ["nobody.example.com:80", f"{HOST}:81", "nonsense", f"{HOST}:x", f"{HOST}:080", "080", "99999", "²"])
def test_a_name_that_stands_for_nothing_is_absent(mesh, view, name):
    assert mesh(REVIEWS).sees(view(), types.ROUTE, name) == {}


def test_a_forward_proxy_is_asked_with_ports(mesh, view):
    hosts = mesh(REVIEWS + OUTSIDE).hosts(view(), "http_proxy")
    assert list(hosts) == [f"{HOST}:80", f"{HOST}:8080", "s3.example.com:80", "allow_any"]
    assert {"s3.example.com", "s3.example.com:80"} <= set(hosts["s3.example.com:80"].domains)
    alternative = set(hosts[f"{HOST}:8080"].domains)
    assert {f"{HOST}:8080", "reviews:8080"} <= alternative
    assert HOST not in alternative


def test_a_rule_for_a_host_that_nothing_declares_acts_on_port_80_and_the_forward_proxy(mesh, view):
    built = mesh(REVIEWS + route("r", "[virtual.example.com]"))
    assert built.hosts(view(), "80")["virtual.example.com:80"].routes[0].route.cluster == f"outbound|80||{HOST}"
    assert "virtual.example.com:80" in built.hosts(view(), "http_proxy")
    assert "virtual.example.com:80" not in built.hosts(view(), "8080")


def test_the_first_rule_of_a_host_stands(mesh, view):
    built = mesh(REVIEWS + route("first", "[reviews]") + route("second", "[reviews]"))
    assert [one.name for one in built.hosts(view(), "80")[f"{HOST}:80"].routes] == ["first"]


def test_a_private_rule_comes_before_a_public_one(mesh, view):
    built = mesh(REVIEWS + route("public", "[reviews]") + route("private", "[reviews]", more="exportTo: ['.']"))
    assert built.hosts(view(), "80")[f"{HOST}:80"].routes[0].name == "private"
    assert built.hosts(view(NAMESPACE="other"), "80")[f"{HOST}:80"].routes[0].name == "public"


def test_the_most_specific_host_of_a_rule_wins(mesh, view):
    built = mesh(REVIEWS + route("wide", "['*.cluster.local']") + route("narrow", "['*.svc.cluster.local']"))
    assert built.hosts(view(), "80")[f"{HOST}:80"].routes[0].name == "narrow"


def test_of_rules_for_one_wildcard_only_the_first_counts_even_without_a_route_for_the_client(mesh, view):
    built = mesh(REVIEWS + route("none", "['*.cluster.local']", ELSEWHERE) + route("all", "['*.cluster.local']"))
    assert built.hosts(view(), "80")[f"{HOST}:80"].routes[0].name == "default"
    assert built.hosts(view(NAMESPACE="elsewhere"), "80")[f"{HOST}:80"].routes[0].name == "none"


def test_a_gateways_rule_is_not_a_sidecars(mesh, view):
    built = mesh(REVIEWS + route("edge", "[reviews]", more="gateways: [edge]"))
    assert built.hosts(view(), "80")[f"{HOST}:80"].routes[0].name == "default"


ELSEWHERE = "match: [{sourceNamespace: elsewhere}]\n    directResponse: {status: 403}"


def test_a_rule_without_a_route_for_the_client_leaves_the_service_as_it_is(mesh, view):
    built = mesh(REVIEWS + route("r", "[reviews]", ELSEWHERE))
    assert [one.name for one in built.hosts(view(), "80")[f"{HOST}:80"].routes] == ["default"]
    assert [one.name for one in built.hosts(view(NAMESPACE="elsewhere"), "80")[f"{HOST}:80"].routes] == ["r"]


def test_a_rule_gives_way_to_the_next_where_it_has_no_route_for_the_client(mesh, view):
    connections = route("tcp", "[reviews]", more="tcp: [{route: [{destination: {host: reviews}}]}]").partition("  http:")[0]
    built = mesh(REVIEWS + connections + route("first", "[reviews]", ELSEWHERE) + route("second", "[reviews]"))
    assert [one.name for one in built.hosts(view(), "80")[f"{HOST}:80"].routes] == ["second"]
    assert [one.name for one in built.hosts(view(NAMESPACE="elsewhere"), "80")[f"{HOST}:80"].routes] == ["first"]
    proxyless = built.routes(view(agent="grpc", GENERATOR="grpc"), f"outbound|80||{HOST}")
    assert [one.name for one in proxyless.virtual_hosts[0].routes] == ["second"]


def test_a_rules_further_hosts_are_served_on_every_port_of_its_service(mesh, view):
    built = mesh(REVIEWS + route("r", "[reviews, virtual.example.com, '2001:db8::1']"))
    hosts = built.hosts(view(), "8080")
    assert hosts["virtual.example.com:8080"].routes[0].name == "r"
    assert list(hosts["2001:db8::1:8080"].domains) == ["[2001:db8::1]"]
    assert "virtual.example.com:90" not in built.hosts(view(), "90")


def test_of_two_rules_for_one_undeclared_host_the_first_with_a_route_has_it(mesh, view):
    none = route("none", "[virtual.example.com]", ELSEWHERE)
    built = mesh(REVIEWS + none + route("first", "[virtual.example.com]") + route("second", "[virtual.example.com]"))
    hosts = [one for one in built.routes(view(), "80").virtual_hosts if "virtual.example.com" in one.domains]
    assert [one.routes[0].name for one in hosts] == ["first"]


def test_on_port_80_a_rule_answers_for_its_service_of_other_ports(mesh, view):
    other = REVIEWS.replace("number: 80,", "number: 81,")
    assert list(mesh(other + route("r", "[reviews]")).hosts(view(), "80")[f"{HOST}:80"].domains) == [HOST]


def test_deadlines_of_grpc_clients_count_within_a_routes_own(mesh, view):
    built = mesh(REVIEWS + route("r", "[reviews]", "timeout: 3s\n    route: [{destination: {host: reviews}}]"))
    ruled = built.hosts(view(), "80")[f"{HOST}:80"].routes[0].route
    unruled = mesh(REVIEWS).hosts(view(), "80")
    assert (ruled.timeout.seconds, ruled.max_grpc_timeout.seconds) == (3, 3)
    for host in (f"{HOST}:80", "allow_any"):
        action = unruled[host].routes[0].route
        assert action.HasField("max_grpc_timeout")
        assert action.max_grpc_timeout.seconds == 0


ALIAS = """
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {type: ExternalName, externalName: reviews.default.svc.cluster.local, ports: [{name: http, port: 8080}]}
"""


def test_a_rule_for_another_name_of_a_service_holds_for_it_on_the_ports_that_it_has(mesh, view):
    built = mesh(REVIEWS + ALIAS + route("shop", "[shop]", "directResponse: {status: 403}"))
    hosts = built.hosts(view(), "8080")
    named = ["shop.default.svc.cluster.local", "shop.default.svc.cluster.local.", "shop", "shop.default", "shop.default.svc"]
    assert list(hosts["shop.default.svc.cluster.local:8080"].domains) == named
    assert hosts["shop.default.svc.cluster.local:8080"].routes[0].name == "shop"
    assert not set(named) & set(hosts[f"{HOST}:8080"].domains)
    assert "shop" in built.hosts(view(), "80")[f"{HOST}:80"].domains
    assert "shop.default" in mesh(REVIEWS + ALIAS).hosts(view(), "8080")[f"{HOST}:8080"].domains
