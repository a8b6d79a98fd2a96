"""CDS: names, discovery, limits and metadata of clusters."""

import pytest
from google.protobuf import json_format

from pymesh.xds import proto

CLUSTER = proto.cluster.Cluster
UNLIMITED = 2**32 - 1

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 90, name: tcp}, {number: 91, name: any}, {number: 92, name: grpc}]
  endpoints: [{address: 10.0.0.1}]
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool:
      tcp: {maxConnections: 1, connectTimeout: 250ms, maxConnectionDuration: 7s, tcpKeepalive: {probes: 2, time: 30s, interval: 4s}}
      http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4, maxRequestsPerConnection: 5, idleTimeout: 6s}
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]
"""
HTTP = "outbound|80||reviews.default.svc.cluster.local"
V1 = "outbound|80|v1|reviews.default.svc.cluster.local"


def entry(host, resolution, more=""):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: other}}
spec:
  hosts: ["{host}"]
  resolution: {resolution}
  ports: [{{number: 80, name: http}}]
  {more}
"""


def options(cluster):
    held = cluster.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    return proto.unpack(held)


def limits(cluster):
    found = cluster.circuit_breakers.thresholds[0]
    return [getattr(found, name).value for name in ("max_connections", "max_pending_requests", "max_requests", "max_retries")]


def istio(cluster):
    return json_format.MessageToDict(cluster.metadata.filter_metadata["istio"])


def test_every_port_and_subset_has_a_cluster_beside_the_special_ones(mesh, view):
    names = mesh(ENTRY + RULE).clusters(view()).keys()
    host = "reviews.default.svc.cluster.local"
    expected = {f"outbound|{port}|{subset}|{host}" for port in (80, 90, 91, 92) for subset in ("", "v1")}
    assert names == expected | {"BlackHoleCluster", "PassthroughCluster", "InboundPassthroughCluster"}


def test_a_cluster_without_rules_has_istios_defaults(mesh, view):
    cluster = mesh(ENTRY).clusters(view())[HTTP]
    assert (cluster.type, cluster.lb_policy) == (CLUSTER.EDS, CLUSTER.LEAST_REQUEST)
    assert cluster.connect_timeout.ToTimedelta().total_seconds() == 10
    assert limits(cluster) == [UNLIMITED] * 4
    assert cluster.common_lb_config.healthy_panic_threshold.value == 0
    assert cluster.common_lb_config.HasField("healthy_panic_threshold")
    assert cluster.eds_cluster_config.service_name == HTTP
    assert cluster.eds_cluster_config.eds_config.HasField("ads")
    assert cluster.alt_stat_name == HTTP + ";"


def test_a_rules_policy_shapes_the_cluster(mesh, view):
    cluster = mesh(ENTRY + RULE).clusters(view())[HTTP]
    assert cluster.lb_policy == CLUSTER.ROUND_ROBIN
    assert cluster.connect_timeout.ToTimedelta().total_seconds() == 0.25
    assert limits(cluster) == [1, 2, 3, 4]
    keepalive = cluster.upstream_connection_options.tcp_keepalive
    assert [keepalive.keepalive_probes.value, keepalive.keepalive_time.value, keepalive.keepalive_interval.value] == [2, 30, 4]
    common = options(cluster).common_http_protocol_options
    assert common.max_connection_duration.seconds == 7
    assert common.max_requests_per_connection.value == 5
    assert common.idle_timeout.seconds == 6


def test_a_subset_overlays_the_rules_policy(mesh, view):
    cluster = mesh(ENTRY + RULE).clusters(view())[V1]
    assert cluster.lb_policy == CLUSTER.RANDOM
    assert limits(cluster) == [1, 2, 3, 4]


def test_metadata_names_the_service_the_rule_and_the_subset(mesh, view):
    cluster = mesh(ENTRY + RULE).clusters(view())[V1]
    assert istio(cluster) == {
        "services": [{"host": "reviews.default.svc.cluster.local", "name": "reviews", "namespace": "default"}],
        "config": "/apis/networking.istio.io/v1/namespaces/default/destination-rule/reviews",
        "subset": "v1",
        "default_original_port": 80.0,
    }


@pytest.mark.parametrize(
    ("port", "kind"),
    [(80, "explicit_http_config"), (91, "use_downstream_protocol_config"), (92, "explicit_http_config")],
)
def test_the_port_decides_the_http_version(mesh, view, port, kind):
    cluster = mesh(ENTRY).clusters(view(agent="envoy"))[f"outbound|{port}||reviews.default.svc.cluster.local"]
    assert options(cluster).WhichOneof("upstream_protocol_options") == kind
    assert options(cluster).explicit_http_config.HasField("http2_protocol_options") == (port == 92)


def test_a_gateway_speaks_http1_to_a_port_that_does_not_say_what_it_speaks(mesh, view):
    """Its clients all offer HTTP/2; that says nothing of the service."""
    built = mesh(ENTRY)
    for seen, kind in ((view(), "use_downstream_protocol_config"), (view("router"), "explicit_http_config")):
        found = options(built.clusters(seen)["outbound|91||reviews.default.svc.cluster.local"])
        assert found.WhichOneof("upstream_protocol_options") == kind
    assert not found.explicit_http_config.HasField("http2_protocol_options")


def test_a_tcp_port_has_no_http_options(mesh, view):
    assert not mesh(ENTRY).clusters(view())["outbound|90||reviews.default.svc.cluster.local"].typed_extension_protocol_options


@pytest.mark.parametrize(
    ("resolution", "more", "kind"),
    [
        ("DNS", "", CLUSTER.STRICT_DNS),
        ("DNS_ROUND_ROBIN", "", CLUSTER.LOGICAL_DNS),
        ("STATIC", "endpoints: [{address: 10.1.1.1}]", CLUSTER.EDS),
        ("NONE", "", CLUSTER.ORIGINAL_DST),
    ],
)
def test_the_resolution_decides_how_instances_are_found(mesh, view, resolution, more, kind):
    cluster = mesh(entry("s3.example.com", resolution, more)).clusters(view())["outbound|80||s3.example.com"]
    assert cluster.type == kind
    assert (cluster.lb_policy == CLUSTER.CLUSTER_PROVIDED) == (kind == CLUSTER.ORIGINAL_DST)
    assert istio(cluster)["external"] is True


def test_a_dns_cluster_carries_its_names(mesh, view):
    cluster = mesh(entry("s3.example.com", "DNS", "endpoints: [{address: a.example.net, ports: {http: 81}}]")).clusters(view())[
        "outbound|80||s3.example.com"
    ]
    address = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (address.address, address.port_value) == ("a.example.net", 81)
    assert cluster.respect_dns_ttl
    assert cluster.dns_jitter.ToMilliseconds() == 100


def test_a_single_name_is_resolved_as_such_and_an_empty_subset_has_none(mesh, view):
    rule = RULE.replace("reviews", "s3.example.com")
    text = entry("s3.example.com", "DNS_ROUND_ROBIN", "endpoints: [{address: a.example.net}]")
    clusters = mesh(text + rule).clusters(view())
    assert clusters["outbound|80||s3.example.com"].type == CLUSTER.LOGICAL_DNS
    assert clusters["outbound|80|v1|s3.example.com"].type == CLUSTER.STRICT_DNS


def test_a_wildcard_that_dns_cannot_resolve_has_no_cluster(mesh, view):
    text = entry("*.example.com", "DNS", "endpoints: [{address: a.example.net}]") + RULE.replace("host: reviews", "host: '*.example.com'")
    clusters = mesh(text).clusters(view())
    assert "outbound|80||*.example.com" in clusters
    assert "outbound|80|v1|*.example.com" not in clusters


def test_names_are_compared_without_case(mesh, view):
    clusters = mesh(entry("S3.Example.com", "NONE") + RULE.replace("host: reviews", "host: s3.EXAMPLE.com")).clusters(view())
    assert clusters["outbound|80|v1|s3.example.com"]


def test_a_passthrough_balancer_sends_connections_where_they_were_going(mesh, view):
    text = ENTRY + RULE.replace("ROUND_ROBIN", "PASSTHROUGH")
    assert mesh(text).clusters(view())[HTTP].type == CLUSTER.ORIGINAL_DST


def test_the_connect_timeout_of_the_mesh_is_the_default(mesh, view):
    settings = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    connectTimeout: 3s\n"
    )
    assert mesh(settings + ENTRY).clusters(view())[HTTP].connect_timeout.seconds == 3


def test_special_clusters_have_istios_form(mesh, view):
    clusters = mesh("").clusters(view())
    assert clusters["BlackHoleCluster"].type == CLUSTER.STATIC
    assert clusters["PassthroughCluster"].type == CLUSTER.ORIGINAL_DST
    assert options(clusters["PassthroughCluster"]).common_http_protocol_options.idle_timeout.seconds == 300
    assert clusters["InboundPassthroughCluster"].upstream_bind_config.source_address.address == "127.0.0.6"


@pytest.mark.parametrize(
    ("ips", "sources", "family"),
    [
        ("10.0.0.9", ["127.0.0.6"], CLUSTER.V4_PREFERRED),
        ("fd00::9", ["::6"], CLUSTER.V6_ONLY),
        ("fd00::9,10.0.0.9", ["127.0.0.6", "::6"], CLUSTER.ALL),
    ],
)
def test_connections_are_made_in_the_ip_versions_that_a_proxy_has(mesh, view, ips, sources, family):
    clusters = mesh(ENTRY.replace("10.0.0.1", ips.partition(",")[0]) + entry("a.example.com", "DNS")).clusters(view(INSTANCE_IPS=ips))
    for name in ("InboundPassthroughCluster", "inbound|80||"):
        config = clusters[name].upstream_bind_config
        assert [config.source_address.address, *(one.address.address for one in config.extra_source_addresses)] == sources
    assert clusters["outbound|80||a.example.com"].dns_lookup_family == family


def test_the_application_is_reached_where_the_connection_was_going(mesh, view):
    text = ENTRY.replace("10.0.0.1", "10.0.0.9").replace("{number: 80, name: http}", "{number: 80, name: http, targetPort: 8080}")
    cluster = mesh(text).clusters(view())["inbound|8080||"]
    assert cluster.type == CLUSTER.ORIGINAL_DST
    assert istio(cluster)["services"][0]["name"] == "reviews"


def test_without_capture_the_application_is_reached_on_loopback(mesh, view):
    seen = view(INTERCEPTION_MODE="NONE", INBOUND_PORTS={"http": {"bind": 21001, "app": 21002}})
    clusters = mesh(ENTRY).clusters(seen)
    address = clusters["inbound|21002||"].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (address.address, address.port_value) == ("127.0.0.1", 21002)
    assert "InboundPassthroughCluster" not in clusters


def test_a_rules_connection_pool_holds_towards_the_application_too(mesh, view):
    text = ENTRY.replace("10.0.0.1", "10.0.0.9") + RULE
    assert limits(mesh(text).clusters(view())["inbound|80||"]) == [1, 2, 3, 4]


def test_an_upgrade_to_http2_is_no_affair_of_the_application(mesh, view):
    rule = RULE.replace("http: {", "http: {h2UpgradePolicy: UPGRADE, ", 1)
    clusters = mesh(ENTRY.replace("10.0.0.1", "10.0.0.9") + rule).clusters(view())
    found = [options(clusters[name]).explicit_http_config for name in ("outbound|80||reviews.default.svc.cluster.local", "inbound|80||")]
    assert [one.WhichOneof("protocol_config") for one in found] == ["http2_protocol_options", "http_protocol_options"]


DEFAULTS = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: "defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 7, connectTimeout: 3s}}}"
"""


def connections(cluster):
    return cluster.circuit_breakers.thresholds[0].max_connections.value


def test_the_meshs_limits_hold_towards_the_application_and_undeclared_hosts_too(mesh, view):
    entry = ENTRY.replace("10.0.0.1", "10.0.0.9")
    found = mesh(entry + DEFAULTS).clusters(view())
    assert {connections(found[name]) for name in ("inbound|80||", "PassthroughCluster", "InboundPassthroughCluster", HTTP)} == {7}
    assert found["PassthroughCluster"].connect_timeout.seconds == 3
    assert connections(mesh(entry + DEFAULTS + RULE).clusters(view())["inbound|80||"]) == 1


def test_a_rule_for_selected_clients_says_nothing_of_what_they_serve(mesh, view):
    selected = RULE.replace("  host: reviews\n", "  host: reviews\n  workloadSelector: {matchLabels: {app: a}}\n")
    found = mesh(ENTRY.replace("10.0.0.1", "10.0.0.9") + selected).clusters(view(LABELS={"app": "a"}))
    assert (connections(found[HTTP]), connections(found["inbound|80||"])) == (1, UNLIMITED)


ORIGINAL = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: original}
spec: {hosts: [original.test], resolution: NONE, ports: [{number: 80, name: http, targetPort: 8080}, {number: 81, name: http-same}]}
"""


def test_a_host_without_resolution_may_be_reached_at_another_port(mesh, view):
    found = mesh(ORIGINAL).clusters(view())
    assert found["outbound|80||original.test"].original_dst_lb_config.upstream_port_override.value == 8080
    assert not found["outbound|81||original.test"].HasField("original_dst_lb_config")


def test_a_gateway_knows_no_original_destination(mesh, view):
    assert mesh(ORIGINAL).clusters(view("router"))["outbound|80||original.test"].type == CLUSTER.EDS
    assert not mesh(ORIGINAL).endpoints(view("router"), "outbound|80||original.test").endpoints
