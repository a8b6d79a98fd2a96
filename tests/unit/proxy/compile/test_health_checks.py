import pytest

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.upstream.health_config import EndpointCheck, GrpcProbe, HealthCheckConfig, TcpProbe

BASE = "timeout: 1s, interval: 2s, unhealthy_threshold: 3, healthy_threshold: 4"


def cluster(text, rest="type: STATIC"):
    return f"{{name: c, {rest}, health_checks: [{{{text}}}]}}"


def checks(parse, text):
    return compile_cluster(parse("cluster", cluster(f"{BASE}, {text}"))).health_check


def test_without_them_nothing_is_checked(parse):
    assert compile_cluster(parse("cluster", "{name: c, type: STATIC}")).health_check is None


def test_times_follow_from_each_other(parse):
    assert checks(parse, "tcp_health_check: {}") == HealthCheckConfig(
        probe=TcpProbe(), timeout=1.0, interval=2.0, unhealthy_threshold=3, healthy_threshold=4,
        unhealthy_interval=2.0, unhealthy_edge_interval=2.0, healthy_edge_interval=2.0,
    )  # fmt: skip
    made = checks(parse, "unhealthy_interval: 5s, no_traffic_interval: 6s, tcp_health_check: {}")
    assert (made.unhealthy_interval, made.unhealthy_edge_interval, made.healthy_edge_interval) == (5.0, 5.0, 2.0)
    assert (made.no_traffic_interval, made.no_traffic_healthy_interval) == (6.0, 6.0)


def test_every_time_and_jitter_arrives(parse):
    text = """initial_jitter: 1s, interval_jitter: 2s, interval_jitter_percent: 3, no_traffic_interval: 4s, no_traffic_healthy_interval: 5s,
        unhealthy_interval: 6s, unhealthy_edge_interval: 7s, healthy_edge_interval: 8s, reuse_connection: false, tcp_health_check: {},
        tls_options: {alpn_protocols: [h2]}, transport_socket_match_criteria: {b: y, a: x}"""
    assert checks(parse, text) == HealthCheckConfig(
        probe=TcpProbe(), timeout=1.0, interval=2.0, unhealthy_threshold=3, healthy_threshold=4, initial_jitter=1.0, interval_jitter=2.0,
        interval_jitter_percent=3, no_traffic_interval=4.0, no_traffic_healthy_interval=5.0, unhealthy_interval=6.0,
        unhealthy_edge_interval=7.0, healthy_edge_interval=8.0, reuse=False, alpn=("h2",), transport_match=(("a", "x"), ("b", "y")),
    )  # fmt: skip


def test_what_http_asks_and_expects(parse):
    probe = checks(parse, """http_health_check: {host: h, path: /p, method: POST, codec_client_type: HTTP2, response_buffer_size: 7,
        receive: [{text: 6f6B}, {binary: AAE=}], expected_statuses: [{start: 200, end: 300}], retriable_statuses: [{start: 500, end: 504}],
        service_name_matcher: {prefix: up}, request_headers_to_remove: [User-Agent], request_headers_to_add: [
          {header: {key: X-A, value: "100%%"}}, {header: {key: x-a, value: c}, append_action: OVERWRITE_IF_EXISTS},
          {header: {key: x-n, value: d}, append_action: OVERWRITE_IF_EXISTS}, {header: {key: x-e, value: ""}},
          {header: {key: x-a, value: e}, append_action: ADD_IF_ABSENT}]}""").probe  # fmt: skip
    assert (probe.host, probe.path, probe.method, probe.http2, probe.buffer) == ("h", b"/p", b"POST", True, 7)
    assert probe.receive == (b"ok", b"\0\1")
    assert (probe.expected, probe.retriable) == ((range(200, 300),), (range(500, 504),))
    assert probe.service_name(b"upper")
    assert not probe.service_name(b"lower")
    fields = [(b"user-agent", b"Envoy/HC")]
    probe.add(fields)
    assert fields == [(b"x-a", b"c")]


def test_what_is_not_said_of_http_has_envoys_defaults(parse):
    probe = checks(parse, "http_health_check: {path: /}").probe
    assert (probe.host, probe.method, probe.http2, probe.expected, probe.add) == ("", b"GET", False, (range(200, 201),), None)


def test_what_tcp_and_grpc_say(parse):
    assert checks(parse, "tcp_health_check: {send: {text: '70'}, receive: [{text: '71'}]}").probe == TcpProbe(send=b"p", receive=(b"q",))
    probe = checks(parse, "grpc_health_check: {service_name: s, authority: a, initial_metadata: [{header: {key: k, value: v}}]}").probe
    assert isinstance(probe, GrpcProbe)
    assert (probe.service, probe.authority) == ("s", "a")
    fields = []
    probe.add(fields)
    assert fields == [(b"k", b"v")]


def test_the_same_configuration_is_equal(parse):
    text = "http_health_check: {path: /, request_headers_to_add: [{header: {key: k, value: v}}]}"
    assert checks(parse, text) == checks(parse, text)


HTTP = "health_checks[0].http_health_check"


@pytest.mark.parametrize(("text", "path"), [
    ("http_health_check: {path: /, codec_client_type: HTTP3}", f"{HTTP}.codec_client_type"),
    ("http_health_check: {path: /, send: {text: '00'}}", f"{HTTP}.send"),
    ("http_health_check: {path: /, receive: [{text: xyz}]}", f"{HTTP}.receive[0].text"),
    ("http_health_check: {path: /, expected_statuses: [{start: 300, end: 200}]}", f"{HTTP}.expected_statuses[0]"),
    ("http_health_check: {path: /, method: CONNECT}", f"{HTTP}.method"),
    ("http_health_check: {path: ''}", f"{HTTP}.path"),
    ("http_health_check: {path: /, request_headers_to_add: [{header: {key: a, value: '%PROTOCOL%'}}]}",
     f"{HTTP}.request_headers_to_add[0].header.value"),
    ("tcp_health_check: {proxy_protocol_config: {}}", "health_checks[0].tcp_health_check.proxy_protocol_config"),
    ("custom_health_check: {name: x}", "health_checks[0].custom_health_check"),
    ("event_log_path: /x, tcp_health_check: {}", "health_checks[0].event_log_path"),
    ("alt_port: 1, tcp_health_check: {}", "health_checks[0].alt_port"),
])  # fmt: skip
def test_what_cannot_be_honoured_is_refused(parse, problems, text, path):
    assert path in problems(compile_cluster, parse("cluster", cluster(f"{BASE}, {text}")))


def test_only_one_check_is_taken_as_in_envoy(parse, problems):
    entry = f"{{{BASE}, tcp_health_check: {{}}}}"
    assert "health_checks" in problems(compile_cluster, parse("cluster", f"{{name: c, type: STATIC, health_checks: [{entry}, {entry}]}}"))


@pytest.mark.parametrize(
    ("more", "outweighs"),
    [
        ("type: EDS, eds_cluster_config: {eds_config: {ads: {}}}", True),
        ("type: STRICT_DNS", True),
        ("type: STRICT_DNS, ignore_health_on_host_removal: true", False),
        ("type: STATIC", False),
    ],
)
def test_checks_may_outweigh_what_discovery_removes(parse, more, outweighs):
    made = compile_cluster(parse("cluster", cluster(f"{BASE}, tcp_health_check: {{}}", more)))
    assert made.health_check.outweighs_removal is outweighs


def test_original_destinations_are_not_checked(parse, problems):
    message = parse("cluster", cluster(f"{BASE}, tcp_health_check: {{}}", "type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED"))
    assert "health_checks" in problems(compile_cluster, message)


def test_hosts_that_requests_name_are_not_checked(parse, problems):
    kind = "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
    dynamic = f'cluster_type: {{name: d, typed_config: {{"@type": {kind}, dns_cache_config: {{name: c}}}}}}, lb_policy: CLUSTER_PROVIDED'
    assert "health_checks" in problems(compile_cluster, parse("cluster", cluster(f"{BASE}, tcp_health_check: {{}}", dynamic)))


def test_new_endpoints_can_be_left_out_of_the_count(parse):
    made = compile_cluster(parse("cluster", "{name: c, type: STATIC, common_lb_config: {ignore_new_hosts_until_first_hc: true}}"))
    assert made.common_lb.ignore_new


def endpoint(parse, text):
    address = "address: {socket_address: {address: 10.0.0.1, port_value: 80}}"
    return parse("endpoints", f"{{cluster_name: c, endpoints: [{{lb_endpoints: [{{endpoint: {{{address}, {text}}}}}]}}]}}")


def test_what_an_endpoint_says_of_its_checks(parse):
    text = """health_check_config: {hostname: h, disable_active_health_check: true, port_value: 81,
        address: {socket_address: {address: 10.0.0.2, port_value: 82}}}"""
    made = compile_assignment(endpoint(parse, text)).endpoints[0]
    assert made.check == EndpointCheck(host="10.0.0.2", port=82, hostname="h", disabled=True)
    made = compile_assignment(endpoint(parse, "health_check_config: {port_value: 81}")).endpoints[0]
    assert made.check == EndpointCheck(port=81)


def test_a_name_is_no_address_for_checks(parse, problems):
    text = "health_check_config: {address: {socket_address: {address: name, port_value: 82}}}"
    assert problems(compile_assignment, endpoint(parse, text))
