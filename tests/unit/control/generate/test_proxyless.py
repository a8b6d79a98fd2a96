"""gRPC clients that speak xDS themselves get resources in the form they understand."""

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
    assert [one.name for one in manager.http_filters] == ["envoy.filters.http.router"]


def test_a_service_has_one_route_configuration(mesh, client):
    hosts = mesh(ENTRY).hosts(client, NAME)
    assert list(hosts[f"{HOST}:50051"].domains) == ["*"]
    assert hosts[f"{HOST}:50051"].routes[0].route.cluster == NAME


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
