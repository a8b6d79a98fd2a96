"""AUTO_PASSTHROUGH: clusters, instances and chains by the server names of the mesh's own mutual TLS."""

import pytest

from pymesh.xds import names, proto, types
from pymesh_control.model.workload import Workload

HOST = "reviews.default.svc.cluster.local"
WHOLE, SUBSET = f"outbound_.80_._.{HOST}", f"outbound_.80_.v1_.{HOST}"
MESH = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}]
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: [outside.test], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 10.0.0.7}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: original}
spec: {hosts: [original.test], location: MESH_INTERNAL, resolution: NONE, ports: [{number: 80, name: http}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]%s}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: east-west}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 15443, name: tls, protocol: TLS}, hosts: [%s], tls: {mode: AUTO_PASSTHROUGH}}]
"""


def instance(ip, version, tls_mode="istio"):
    return Workload(name=ip, namespace="default", ip=ip, labels={"app": "reviews", "version": version}, tls_mode=tls_mode)


INSTANCES = [instance("10.0.0.1", "v1"), instance("10.0.0.2", "v2"), instance("10.0.0.3", "v1", tls_mode="")]


@pytest.fixture
def edge(view):
    return view("router", LABELS={"istio": "ingressgateway"})


@pytest.fixture
def built(mesh):
    def make(hosts="'*.local'", policy=""):
        return mesh(MESH % (policy, hosts), INSTANCES)

    return make


def test_a_gateway_gets_a_twin_of_each_cluster_of_the_mesh(built, edge, view):
    mesh = built()
    clusters = mesh.clusters(edge)
    assert {name for name in clusters if name.startswith("outbound_.")} == {WHOLE, SUBSET}
    assert clusters[WHOLE].eds_cluster_config.service_name == WHOLE
    assert not clusters[WHOLE].HasField("transport_socket")
    assert not clusters[WHOLE].transport_socket_matches
    assert not any(name.startswith("outbound_.") for name in mesh.clusters(view()))


def test_a_gateway_without_such_a_server_gets_none(built, view):
    assert not any(name.startswith("outbound_.") for name in built().clusters(view("router", LABELS={"istio": "other"})))


def test_a_chain_takes_one_server_name_and_only_the_meshs_protocols(built, edge):
    chains = built().listeners(edge)["0.0.0.0_15443"].filter_chains
    assert [list(chain.filter_chain_match.server_names) for chain in chains] == [[WHOLE], [SUBSET]]
    for chain in chains:
        assert set(chain.filter_chain_match.application_protocols) == {
            "istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2",
        }  # fmt: skip
        assert not chain.HasField("transport_socket")
        assert [proto.unpack(chain.filters[-1].typed_config).cluster] == list(chain.filter_chain_match.server_names)


@pytest.mark.parametrize(
    ("hosts", "open_"), [("'*'", True), ("reviews.default.svc.cluster.local", True), ("'*.test'", False), ("other.svc.local", False)]
)
def test_only_services_that_the_servers_hosts_cover_are_passed_on_to(built, edge, hosts, open_):
    assert ("0.0.0.0_15443" in built(hosts).listeners(edge)) == open_


def test_instances_that_take_plaintext_are_left_out(built, edge):
    mesh = built()

    def addresses(name):
        groups = mesh.endpoints(edge, name).endpoints
        return [one.endpoint.address.socket_address.address for group in groups for one in group.lb_endpoints]

    assert addresses(WHOLE) == ["10.0.0.1", "10.0.0.2"]
    assert addresses(SUBSET) == ["10.0.0.1"]
    assert mesh.endpoints(edge, WHOLE).cluster_name == WHOLE


@pytest.mark.parametrize(
    "name", [WHOLE.replace("80", "080"), WHOLE.replace("80", "81"), SUBSET.replace("v1", "v9"), "outbound_.80_._.outside.test"]
)
def test_another_name_stands_for_nothing(built, edge, name):
    assert built().sees(edge, types.ENDPOINT, name) == {}


def test_a_cluster_that_goes_where_the_client_meant_to_has_no_twin(built, edge):
    mesh = built(policy=", trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}")
    assert not any(name.startswith("outbound_.") for name in mesh.clusters(edge))
    assert "0.0.0.0_15443" not in mesh.listeners(edge)


def test_the_rules_limits_hold_for_a_twin(built, edge):
    mesh = built(policy=", trafficPolicy: {connectionPool: {tcp: {maxConnections: 3, connectTimeout: 2s}}, tls: {mode: ISTIO_MUTUAL}}")
    cluster = mesh.clusters(edge)[SUBSET]
    assert cluster.circuit_breakers.thresholds[0].max_connections.value == 3
    assert cluster.connect_timeout.seconds == 2
    assert not cluster.HasField("transport_socket")


@pytest.mark.parametrize(("port", "subset"), [(80, ""), (1, "v1"), (65535, "with-dash")])
def test_server_names_are_read_as_they_are_written(port, subset):
    found = names.parse_sni(names.sni(HOST, port, subset))
    assert (found.port, found.subset, found.host) == (port, subset, HOST)
    assert names.parse_sni(f"outbound|{port}|{subset}|{HOST}") is None
