"""gRPC clients that speak xDS themselves get resources in the form they understand."""

import json

import pytest

from pymesh.xds import proto, types
from pymesh_control.generate import generate

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: greeter}
spec:
  hosts: [greeter.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 50051, name: grpc}, {number: 90, name: tcp}]
  endpoints: [{address: 10.0.0.1, serviceAccount: greeter}]
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter}
spec: {host: greeter, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}, subsets: [{name: v1}]}
"""
HOST = "greeter.default.svc.cluster.local"
NAME = f"outbound|50051||{HOST}"


@pytest.fixture
def client(view):
    return view(agent="gRPC C-core")


def test_a_listener_is_named_as_it_was_dialled(mesh, client):
    listener = mesh(ENTRY).sees(client, types.LISTENER, f"{HOST}:50051")[f"{HOST}:50051"]
    manager = proto.unpack(listener.api_listener.api_listener)
    assert manager.rds.route_config_name == NAME
    assert [one.name for one in manager.http_filters] == ["envoy.filters.http.fault", "envoy.filters.http.router"]


def test_a_service_has_one_route_configuration(mesh, client):
    hosts = mesh(ENTRY).hosts(client, NAME)
    assert list(hosts[f"{HOST}:50051"].domains) == ["*"]
    assert hosts[f"{HOST}:50051"].routes[0].route.cluster == NAME


def routing(*routes):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: greeter}}
spec:
  hosts: [greeter]
  http: {json.dumps([{"route": [{"destination": {"host": "greeter"}}], **route} for route in routes])}
"""


def ruling(**policy):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: greeter}}
spec: {json.dumps({"host": "greeter", "trafficPolicy": policy})}
"""


@pytest.fixture
def routes(mesh, client):
    return lambda *wanted, rule="": list(mesh(ENTRY + rule + routing(*wanted)).hosts(client, NAME)[f"{HOST}:50051"].routes)


@pytest.fixture
def cluster(mesh, client):
    return lambda **policy: mesh(ENTRY + (ruling(**policy) if policy else "")).sees(client, types.CLUSTER, NAME)[NAME]


def test_a_timeout_is_the_longest_time_of_a_stream(routes):
    (limited,) = routes({"timeout": "1.5s"})
    assert limited.route.max_stream_duration.max_stream_duration.ToMilliseconds() == 1500
    (unlimited,) = routes({})
    assert not unlimited.route.HasField("max_stream_duration")


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ({"attempts": 3, "retryOn": "5xx,unavailable,503,internal"}, "unavailable,internal"),
        ({"attempts": 3, "retryOn": "5xx"}, ""),
        ({"attempts": 0}, ""),
    ],
)
def test_a_retry_policy_has_the_conditions_of_grpc(routes, retries, expected):
    (route,) = routes({"retries": retries})
    assert route.route.retry_policy.retry_on == expected
    assert route.route.HasField("retry_policy") == bool(expected)
    assert not route.route.retry_policy.retry_host_predicate


def test_a_route_has_no_settings_of_filters_that_clients_lack(routes):
    (route,) = routes({"corsPolicy": {"allowOrigins": [{"exact": "*"}]}, "fault": {"abort": {"grpcStatus": "INTERNAL"}}})
    assert list(route.typed_per_filter_config) == ["envoy.filters.http.fault"]


@pytest.mark.parametrize(("count", "expected"), [(1, 2), (2, 4), (6, 16)])
def test_absent_headers_are_cases_of_their_own(routes, count, expected):
    found = routes({"match": [{"withoutHeaders": {f"h{number}": {"exact": "x"} for number in range(count)}}]})
    assert len(found) == expected
    assert len({route.match.SerializeToString(deterministic=True) for route in found}) == expected
    for header in (header for route in found for header in route.match.headers):
        assert header.invert_match
        assert not header.treat_missing_header_as_empty
    assert sum(header.present_match for route in found for header in route.match.headers if header.name == "h0") == expected / 2


@pytest.mark.parametrize(
    ("hashed", "expected"),
    [
        ({"httpHeaderName": "user"}, "header"),
        ({"useSourceIp": True}, "filter_state"),
        ({"httpCookie": {"name": "c", "ttl": "1s"}}, None),
        ({"httpQueryParameterName": "q"}, None),
    ],
)
def test_calls_are_told_apart_by_what_they_have(routes, hashed, expected):
    (route,) = routes({}, rule=ruling(loadBalancer={"consistentHash": hashed}))
    assert [policy.WhichOneof("policy_specifier") for policy in route.route.hash_policy] == [expected] * bool(expected)


def test_requests_are_limited_only_by_a_rule(cluster):
    (free,) = cluster().circuit_breakers.thresholds
    assert free.max_requests.value == 2**32 - 1
    (limited,) = cluster(connectionPool={"http": {"http2MaxRequests": 7}}).circuit_breakers.thresholds
    assert limited.max_requests.value == 7


@pytest.mark.parametrize(
    ("wanted", "ring"),
    [({"ringHash": {"minimumRingSize": 7}}, 7), ({"ringHash": {"minimumRingSize": 2**30}}, 2**23), ({"maglev": {}}, 0), ({}, 1024)],
)
def test_consistent_hashing_is_a_ring(cluster, wanted, ring):
    found = cluster(loadBalancer={"consistentHash": {"httpHeaderName": "user", **wanted}})
    assert found.lb_policy == found.RING_HASH
    assert found.ring_hash_lb_config.minimum_ring_size.value == ring


@pytest.mark.parametrize("simple", ["RANDOM", "LEAST_REQUEST", "ROUND_ROBIN", "PASSTHROUGH"])
def test_all_else_is_in_turn_and_by_eds(cluster, simple):
    found = cluster(loadBalancer={"simple": simple, "warmupDurationSecs": "10s"})
    assert (found.type, found.lb_policy, found.WhichOneof("lb_config")) == (found.EDS, found.ROUND_ROBIN, None)


@pytest.mark.parametrize(
    ("wanted", "row"),
    [
        ({"consecutive5xxErrors": 7}, 7),
        ({"consecutiveGatewayErrors": 3}, 3),
        ({"consecutiveGatewayErrors": 9, "consecutive5xxErrors": 0}, 9),
        ({"interval": "3s"}, 5),
        ({"consecutive5xxErrors": 0}, 0),
    ],
)
def test_errors_in_a_row_are_a_failure_percentage(cluster, wanted, row):
    found = cluster(outlierDetection={"maxEjectionPercent": 40, **wanted}).outlier_detection
    assert found.failure_percentage_request_volume.value == row
    assert found.enforcing_failure_percentage.value == (100 if row else 0)
    assert (found.enforcing_success_rate.value, found.max_ejection_percent.value) == (0, 40)
    assert found.HasField("interval") == ("interval" in wanted)


@pytest.mark.parametrize(("points", "found"), [(["a.test"], True), (["a.test", "b.test"], False), ([], True)])
def test_one_name_is_resolved_by_the_client(mesh, client, points, found):
    entry = ENTRY.replace("STATIC", "DNS")
    entry = entry[: entry.index("  endpoints:")] + f"  endpoints: {json.dumps([{'address': point} for point in points])}\n"
    clusters = mesh(entry).sees(client, types.CLUSTER, NAME)
    assert [cluster.type for cluster in clusters.values()] == [proto.cluster.Cluster.LOGICAL_DNS] * found


@pytest.mark.parametrize("name", [NAME, f"outbound|50051|v1|{HOST}"])
def test_a_cluster_is_balanced_in_turn_and_found_by_eds(mesh, client, name):
    cluster = mesh(ENTRY + RULE).sees(client, types.CLUSTER, name)[name]
    assert (cluster.type, cluster.lb_policy) == (cluster.EDS, cluster.ROUND_ROBIN)
    assert cluster.eds_cluster_config.service_name == name
    assert mesh(ENTRY + RULE).endpoints(client, name).endpoints


def test_mutual_tls_uses_the_clients_own_certificate_provider(mesh, client):
    cluster = mesh(ENTRY + RULE).sees(client, types.CLUSTER, NAME)[NAME]
    common = proto.unpack(cluster.transport_socket.typed_config).common_tls_context
    assert common.tls_certificate_certificate_provider_instance.instance_name == "default"
    assert common.combined_validation_context.validation_context_certificate_provider_instance.certificate_name == "ROOTCA"
    assert not mesh(ENTRY).sees(client, types.CLUSTER, NAME)[NAME].HasField("transport_socket")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (types.LISTENER, f"{HOST}:90"),
        (types.LISTENER, "nobody:1"),
        (types.LISTENER, "nonsense"),
        (types.ROUTE, "80"),
        (types.CLUSTER, f"outbound|50051|v2|{HOST}"),
        (types.CLUSTER, "BlackHoleCluster"),
        (types.CLUSTER, "outbound|²||x"),
    ],
)
def test_a_name_that_stands_for_nothing_is_absent(mesh, client, url, name):
    assert mesh(ENTRY).sees(client, url, name) == {}


def test_nothing_is_given_that_was_not_asked_for(mesh, client):
    assert generate(mesh(ENTRY).snapshot, client, types.CLUSTER, None) == {}


SERVED = "xds.istio.io/grpc/lds/inbound/10.0.0.1:50051"
STRICT = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""


def test_a_server_gets_a_listener_for_the_address_that_it_asks_for(mesh, view):
    listener = mesh(ENTRY).sees(view(agent="gRPC C-core", INSTANCE_IPS="10.0.0.1"), types.LISTENER, SERVED)[SERVED]
    assert (listener.address.socket_address.address, listener.address.socket_address.port_value) == ("10.0.0.1", 50051)
    assert not listener.listener_filters
    (chain,) = listener.filter_chains
    (host,) = proto.unpack(chain.filters[0].typed_config).route_config.virtual_hosts
    assert [route.WhichOneof("action") for route in host.routes] == ["non_forwarding_action"]
    assert not chain.HasField("transport_socket")


def test_a_strict_server_asks_for_certificates(mesh, view):
    listener = mesh(ENTRY + STRICT).sees(view(agent="gRPC C-core", INSTANCE_IPS="10.0.0.1"), types.LISTENER, SERVED)[SERVED]
    context = proto.unpack(listener.filter_chains[0].transport_socket.typed_config)
    assert context.require_client_certificate.value
    combined = context.common_tls_context.combined_validation_context
    assert combined.validation_context_certificate_provider_instance.instance_name == "default"
    assert not combined.default_validation_context.match_subject_alt_names


@pytest.mark.parametrize("address", ["10.0.0.1:50052", "10.0.0.1:90", "nonsense", ""])
def test_a_port_without_a_service_is_not_served(mesh, view, address):
    name = SERVED.replace("10.0.0.1:50051", address)
    assert mesh(ENTRY).sees(view(agent="gRPC C-core", INSTANCE_IPS="10.0.0.1"), types.LISTENER, name) == {}
