import pytest

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig
from pymesh_proxy.upstream.config import CommonLb, Discovery, Health, Limits, UpstreamProtocol, ZoneAware
from pymesh_proxy.upstream.dns_config import DnsConfig, Family, NameServers

STATIC = """
name: up
type: STATIC
load_assignment:
  cluster_name: up
  endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}]}]
"""

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HTTP = f"type.googleapis.com/{OPTIONS}"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

ISTIO = f"""
name: outbound|80||a.default.svc.cluster.local
type: EDS
eds_cluster_config: {{eds_config: {{ads: {{}}, initial_fetch_timeout: 0s, resource_api_version: V3}}, service_name: outbound|80||a}}
connect_timeout: 10s
lb_policy: LEAST_REQUEST
circuit_breakers: {{thresholds: [{{max_connections: 4294967295, max_pending_requests: 7, max_requests: 8, max_retries: 9}}]}}
common_lb_config: {{healthy_panic_threshold: {{}}}}
upstream_connection_options: {{tcp_keepalive: {{keepalive_time: 60}}}}
metadata: {{filter_metadata: {{istio: {{services: [{{host: a, name: a, namespace: default}}]}}}}}}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": {HTTP}
    common_http_protocol_options: {{idle_timeout: 5s, max_requests_per_connection: 3, max_connection_duration: 9s, max_headers_count: 50}}
    use_downstream_protocol_config: {{http_protocol_options: {{}}, http2_protocol_options: {{}}}}
transport_socket_matches:
- name: tlsMode-istio
  match: {{tlsMode: istio}}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": {TLS}
      sni: outbound_.80_._.a
      common_tls_context:
        alpn_protocols: [istio]
        tls_certificate_sds_secret_configs:
        - name: default
          sds_config: {{api_config_source: {{api_type: GRPC, grpc_services: [{{envoy_grpc: {{cluster_name: sds-grpc}}}}]}}}}
        combined_validation_context:
          default_validation_context: {{match_typed_subject_alt_names: [{{san_type: URI, matcher: {{exact: "spiffe://x"}}}}]}}
          validation_context_sds_secret_config: {{name: ROOTCA, sds_config: {{ads: {{}}}}}}
- name: tlsMode-disabled
  match: {{}}
  transport_socket:
    name: raw
    typed_config: {{"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}
"""


@pytest.mark.parametrize(
    ("extra", "protocol", "streams"),
    [
        ("http2_protocol_options: {max_concurrent_streams: 9}", UpstreamProtocol.HTTP2, 9),
        (
            f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, explicit_http_config: {{http2_protocol_options: {{}}}}}}}}",
            UpstreamProtocol.HTTP2,
            1024,
        ),
        (
            f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, explicit_http_config: {{http_protocol_options: {{}}}}}}}}",
            UpstreamProtocol.HTTP1,
            1024,
        ),
        (
            f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, use_downstream_protocol_config: "
            "{http_protocol_options: {}, http2_protocol_options: {max_concurrent_streams: 7}}}}",
            UpstreamProtocol.DOWNSTREAM,
            7,
        ),
        (
            f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, use_downstream_protocol_config: "
            "{http_protocol_options: {}}}}",
            UpstreamProtocol.HTTP1,
            1024,
        ),
    ],
)
def test_the_protocol_is_said_in_the_old_way_or_the_new(parse, extra, protocol, streams):
    cluster = compile_cluster(parse("cluster", f"{STATIC}{extra}\n"))
    assert (cluster.protocol, cluster.http2.max_concurrent_streams) == (protocol, streams)


def test_a_minimal_static_cluster_has_envoys_defaults(parse):
    cluster = compile_cluster(parse("cluster", STATIC))
    assert (cluster.discovery, cluster.balancing, cluster.protocol) == (Discovery.STATIC, BalancingConfig(), UpstreamProtocol.HTTP1)
    assert (cluster.connect_timeout, cluster.idle_timeout, cluster.buffer_limit) == (5.0, 3600.0, 1024 * 1024)
    assert (cluster.limits, cluster.common_lb, cluster.tls, cluster.keepalive) == (Limits(), CommonLb(), None, None)
    assert (cluster.max_response_headers, cluster.max_response_headers_count) == (80 * 1024, 100)


def test_an_istio_cluster_is_honoured_whole(parse):
    cluster = compile_cluster(parse("cluster", ISTIO))
    assert (cluster.discovery, cluster.eds_name, cluster.balancing.policy) == (Discovery.EDS, "outbound|80||a", Balancing.LEAST_REQUEST)
    assert cluster.limits == Limits(max_connections=2**32 - 1, max_pending_requests=7, max_requests=8, max_retries=9)
    assert (cluster.common_lb.panic_threshold, cluster.keepalive, cluster.protocol) == (0, (9, 60, 75), UpstreamProtocol.DOWNSTREAM)
    assert (cluster.idle_timeout, cluster.max_requests_per_connection, cluster.max_connection_duration) == (5.0, 3, 9.0)
    assert cluster.max_response_headers_count == 50
    assert cluster.metadata == {"istio": {"services": [{"host": "a", "name": "a", "namespace": "default"}]}}
    mutual, plain = cluster.transport_matches
    assert (mutual.labels, mutual.tls.sni, mutual.tls.alpn) == ((("tlsMode", "istio"),), "outbound_.80_._.a", ("istio",))
    assert (plain.labels, plain.tls) == ((), None)
    assert (mutual.tls.certificates[0].secret, mutual.tls.validation.secret) == ("default", "ROOTCA")


def test_istios_black_hole_has_no_endpoints(parse):
    assert compile_cluster(parse("cluster", "{name: BlackHoleCluster, type: STATIC, connect_timeout: 10s}")).assignment.endpoints == ()


def test_istios_passthrough_clusters_go_to_the_original_destination(parse):
    bind = "upstream_bind_config: {source_address: {address: 127.0.0.6, port_value: 0}}"
    cluster = compile_cluster(parse("cluster", f"{{name: p, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, {bind}}}"))
    assert (cluster.discovery, cluster.bind_addresses) == (Discovery.ORIGINAL_DST, ("127.0.0.6",))
    assert cluster.balancing.policy is Balancing.CLUSTER_PROVIDED


NAMED = STATIC.replace("STATIC", "STRICT_DNS").replace("127.0.0.1", "a.test")
CARES = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
SYSTEM = "type.googleapis.com/envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig"
DNS_CLUSTER = "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"
SERVER = "{socket_address: {address: 192.0.2.1, port_value: 5353}}"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("", DnsConfig()),
        (
            "dns_refresh_rate: 60s\nrespect_dns_ttl: true\ndns_lookup_family: V4_ONLY\ndns_jitter: 0.1s\nwait_for_warm_on_init: false",
            DnsConfig(refresh=60.0, respect_ttl=True, family=Family.V4_ONLY, jitter=0.1, wait=False),
        ),
        ("dns_failure_refresh_rate: {base_interval: 2s}", DnsConfig(failure_base=2.0, failure_max=20.0)),
        ("dns_failure_refresh_rate: {base_interval: 2s, max_interval: 5s}", DnsConfig(failure_base=2.0, failure_max=5.0)),
        (
            f"dns_resolvers: [{SERVER}]\nuse_tcp_for_dns_lookups: true",
            DnsConfig(servers=NameServers(addresses=(("192.0.2.1", 5353),), tcp=True)),
        ),
        (
            f"dns_resolution_config: {{resolvers: [{SERVER}], dns_resolver_options: {{no_default_search_domain: true}}}}",
            DnsConfig(servers=NameServers(addresses=(("192.0.2.1", 5353),), search=False)),
        ),
        (
            f"typed_dns_resolver_config: {{name: x, typed_config: {{'@type': {CARES}, resolvers: [{SERVER}], query_tries: 2, "
            "query_timeout_seconds: 3, rotate_nameservers: true, edns0_max_payload_size: 1232}}",
            DnsConfig(servers=NameServers(addresses=(("192.0.2.1", 5353),), tries=2, timeout=3.0, rotate=True, payload=1232)),
        ),
        (f"typed_dns_resolver_config: {{name: x, typed_config: {{'@type': {CARES}, udp_max_queries: 100}}}}", DnsConfig()),
        (f"typed_dns_resolver_config: {{name: x, typed_config: {{'@type': {SYSTEM}}}}}", DnsConfig()),
    ],
)
def test_dns_settings_are_read(parse, extra, expected):
    assert compile_cluster(parse("cluster", f"{NAMED}{extra}\n")).dns == expected


@pytest.mark.parametrize(
    ("kind", "discovery", "expected"),
    [
        (f"{{name: x, typed_config: {{'@type': {DNS_CLUSTER}, dns_refresh_rate: 9s}}}}", Discovery.STRICT_DNS, DnsConfig(refresh=9.0)),
        (
            f"{{name: x, typed_config: {{'@type': {DNS_CLUSTER}, dns_lookup_family: ALL, all_addresses_in_single_endpoint: true}}}}",
            Discovery.LOGICAL_DNS,
            DnsConfig(family=Family.ALL, one_endpoint=True),
        ),
        ("{name: envoy.cluster.strict_dns}", Discovery.STRICT_DNS, DnsConfig(refresh=60.0)),
        ("{name: envoy.cluster.logical_dns}", Discovery.LOGICAL_DNS, DnsConfig(refresh=60.0, one_endpoint=True)),
    ],
)
def test_a_cluster_may_say_its_type_as_an_extension(parse, kind, discovery, expected):
    text = NAMED.replace("type: STRICT_DNS", f"cluster_type: {kind}") + "dns_refresh_rate: 60s\n"
    cluster = compile_cluster(parse("cluster", text))
    assert (cluster.discovery, cluster.dns) == (discovery, expected)


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ("use_tcp_for_dns_lookups: true", "use_tcp_for_dns_lookups"),
        ("dns_failure_refresh_rate: {base_interval: 2s, max_interval: 1s}", "dns_failure_refresh_rate.max_interval"),
        ("dns_resolvers: [{socket_address: {address: ns.test, port_value: 53}}]", "dns_resolvers[0]"),
        (
            f"typed_dns_resolver_config: {{name: x, typed_config: {{'@type': {CARES}, query_tries: 2}}}}",
            "typed_dns_resolver_config.typed_config.query_tries",
        ),
        (
            f"typed_dns_resolver_config: {{name: x, typed_config: {{'@type': {CARES}, filter_unroutable_families: true}}}}",
            "typed_dns_resolver_config.typed_config.filter_unroutable_families",
        ),
        (
            "typed_dns_resolver_config: {name: x, typed_config: {'@type': type.googleapis.com/google.protobuf.Duration, value: 1s}}",
            "typed_dns_resolver_config.typed_config",
        ),
    ],
)
def test_resolvers_that_cannot_be_honoured_are_refused(parse, problems, extra, field):
    assert field in problems(compile_cluster, parse("cluster", f"{NAMED}{extra}\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{healthy_panic_threshold: {value: 33.5}}", CommonLb(panic_threshold=34)),
        ("{healthy_panic_threshold: {}}", CommonLb(panic_threshold=0)),
        (
            "{zone_aware_lb_config: {routing_enabled: {value: 50}, min_cluster_size: 2, fail_traffic_on_panic: true}}",
            CommonLb(fail_on_panic=True, zone_aware=ZoneAware(routing_enabled=50, min_cluster_size=2)),
        ),
        ("{locality_weighted_lb_config: {}}", CommonLb(locality_weighted=True)),
        ("{close_connections_on_host_set_change: true, update_merge_window: 1s}", CommonLb(close_on_change=True)),
        ("{override_host_status: {}}", CommonLb(sessions_in=frozenset())),
        (
            "{override_host_status: {statuses: [HEALTHY, DRAINING]}}",
            CommonLb(sessions_in=frozenset({Health.HEALTHY, Health.DRAINING})),
        ),
    ],
)
def test_what_all_balancing_shares_is_read(parse, text, expected):
    assert compile_cluster(parse("cluster", f"{STATIC}common_lb_config: {text}\n")).common_lb == expected


def test_the_first_known_balancing_policy_is_taken(parse):
    text = (
        STATIC
        + """
load_balancing_policy:
  policies:
  - typed_extension_config: {name: x, typed_config: {"@type": type.googleapis.com/google.protobuf.Duration, value: 1s}}
  - typed_extension_config:
      name: y
      typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest, choice_count: 4}
  - typed_extension_config:
      name: z
      typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.random.v3.Random}
"""
    )
    cluster = compile_cluster(parse("cluster", text))
    assert (cluster.balancing.policy, cluster.balancing.choice_count) == (Balancing.LEAST_REQUEST, 4)


def test_the_older_protocol_fields_still_count(parse):
    cluster = compile_cluster(
        parse("cluster", STATIC + "max_requests_per_connection: 5\ncommon_http_protocol_options: {idle_timeout: 2s}\n")
    )
    assert (cluster.max_requests_per_connection, cluster.idle_timeout) == (5, 2.0)


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ("connect_timeout: 0s", "connect_timeout"),
        ("lb_policy: LOAD_BALANCING_POLICY_CONFIG", "lb_policy"),
        ("lb_policy: CLUSTER_PROVIDED", "lb_policy"),
        ("lb_subset_config: {fallback_policy: ANY_ENDPOINT}", "lb_subset_config"),
        ("http2_protocol_options: {allow_metadata: true}", "http2_protocol_options.allow_metadata"),
        (
            "http2_protocol_options: {custom_settings_parameters: [{identifier: 9, value: 1}]}",
            "http2_protocol_options.custom_settings_parameters",
        ),
        ("circuit_breakers: {thresholds: [{max_connection_pools: 3}]}", "circuit_breakers.thresholds[0].max_connection_pools"),
        ("circuit_breakers: {per_host_thresholds: [{max_requests: 3}]}", "circuit_breakers.per_host_thresholds[0].max_requests"),
        ("preconnect_policy: {per_upstream_preconnect_ratio: 1.5}", "preconnect_policy"),
        ("connection_pool_per_downstream_connection: true", "connection_pool_per_downstream_connection"),
        ("least_request_lb_config: {choice_count: 1}", "least_request_lb_config.choice_count"),
        ("eds_cluster_config: {eds_config: {ads: {}}}", "eds_cluster_config"),
        ("upstream_bind_config: {source_address: {address: nonsense, port_value: 0}}", "upstream_bind_config.source_address.address"),
        (
            "typed_extension_protocol_options: {x: {'@type': type.googleapis.com/google.protobuf.Duration, value: 1s}}",
            "typed_extension_protocol_options['x']",
        ),
        (
            f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, auto_config: {{}}}}}}",
            "transport_socket",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, problems, extra, field):
    assert field in problems(compile_cluster, parse("cluster", f"{STATIC}{extra}\n"))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{type: STATIC}", "name"),
        (STATIC.replace("127.0.0.1", "a.test"), "load_assignment"),
        ("{name: a, type: LOGICAL_DNS}", "load_assignment"),
        ("{name: a, type: EDS}", "eds_cluster_config"),
        ("{name: a, type: EDS, eds_cluster_config: {eds_config: {path_config_source: {path: /x}}}}", "eds_cluster_config.eds_config"),
        ("{name: a, type: ORIGINAL_DST}", "lb_policy"),
        ("{name: a, cluster_type: {name: envoy.clusters.aggregate}}", "cluster_type.name"),
    ],
)
def test_a_cluster_must_fit_its_type(parse, problems, text, field):
    assert field in problems(compile_cluster, parse("cluster", text))


@pytest.mark.parametrize(("own", "offered"), [("{}", ("h2", "http/1.1")), ("{alpn_protocols: [istio, h2]}", ("istio", "h2"))])
def test_where_the_version_is_negotiated_both_are_offered(parse, own, offered):
    socket = f"transport_socket: {{name: tls, typed_config: {{'@type': {TLS}, common_tls_context: {own}}}}}"
    options = f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, auto_config: {{}}}}}}"
    made = compile_cluster(parse("cluster", "\n".join((STATIC, socket, options))))
    assert made.protocol is UpstreamProtocol.AUTO
    assert made.tls.alpn == offered


def test_versions_are_not_negotiated_without_tls_everywhere(parse, problems):
    options = f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': {HTTP}, auto_config: {{}}}}}}"
    text = ISTIO[: ISTIO.index("typed_extension")] + options + ISTIO[ISTIO.index("\ntransport_socket_matches") :]
    assert set(problems(compile_cluster, parse("cluster", text))) == {"transport_socket", "transport_socket_matches[1].transport_socket"}


def test_each_priority_has_limits_and_the_first_of_several_counts(parse):
    breakers = (
        "circuit_breakers: {thresholds: [{max_retries: 1, retry_budget: {}}, {max_retries: 2}, {priority: HIGH, max_requests: 5,"
        " track_remaining: true, retry_budget: {budget_percent: {value: 50}, budget_interval: 10s, min_retry_concurrency: 0}}],"
        " per_host_thresholds: [{max_connections: 4}, {priority: HIGH}]}"
    )
    found = compile_cluster(parse("cluster", f"{STATIC}{breakers}\n"))
    assert found.limits == Limits(max_retries=1, budget_percent=20.0, max_connections_per_host=4)
    high = Limits(max_requests=5, track_remaining=True, budget_percent=50.0, budget_interval=10.0, min_retry_concurrency=0)
    assert found.high_limits == high
