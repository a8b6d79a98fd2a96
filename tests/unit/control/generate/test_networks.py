"""Several networks: what is elsewhere is reached by its network's gateways, as Istio's split horizon has it."""

import textwrap

import pytest

from pymesh.api import parse_text
from pymesh.xds import names
from pymesh_control.model.workload import Workload

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    %(mesh)s
  meshNetworks: |
%(networks)s
"""
SERVICE = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}]
  endpoints:
%s
"""
HOST = "a.default.svc.cluster.local"
CLUSTER = names.outbound_cluster(HOST, 80)
TWO = """
networks:
  one:
    endpoints: [{fromCidr: 10.1.0.0/16}]
    gateways: [{address: 192.0.2.1, port: 15443}]
  two:
    endpoints: [{fromCidr: 10.2.0.0/16}]
    gateways: [{address: 192.0.2.2, port: 15443}, {address: 192.0.2.3, port: 15444}]
"""
MUTUAL = "labels: {security.istio.io/tlsMode: istio}"


def settings(networks=TWO, mesh="{}"):
    return CONFIG % {"mesh": mesh, "networks": textwrap.indent(networks, "    ")}


def service(*endpoints):
    return SERVICE % "\n".join(f"  - {{{one}, {MUTUAL}}}" if "labels" not in one else f"  - {{{one}}}" for one in endpoints)


def told(built, seen, name=CLUSTER):
    """(address, port, weight, whether by mutual TLS) of what a proxy is told, by locality."""
    found = {}
    for group in built.endpoints(seen, name).endpoints:
        place = "/".join(filter(None, (group.locality.region, group.locality.zone)))
        rows = found.setdefault(place, [])
        for one in group.lb_endpoints:
            at = one.endpoint.address.socket_address
            mutual = "envoy.transport_socket_match" in one.metadata.filter_metadata
            rows.append((at.address, at.port_value, one.load_balancing_weight.value, mutual))
    return found


def test_what_is_elsewhere_is_reached_by_the_gateways_and_weights_are_scaled(mesh, view):
    built = mesh(settings() + service("address: 10.1.0.1", "address: 10.2.0.1, weight: 3", "address: 10.2.0.2"))
    assert told(built, view(NETWORK="one")) == {
        "": [("10.1.0.1", 80, 2, True), ("192.0.2.2", 15443, 4, True), ("192.0.2.3", 15444, 4, True)]
    }
    assert told(built, view(NETWORK="two")) == {
        "": [("10.2.0.1", 80, 6, True), ("10.2.0.2", 80, 2, True), ("192.0.2.1", 15443, 2, True)]
    }


def test_gateways_stand_in_the_localities_of_what_they_lead_to(mesh, view):
    there = ("address: 10.2.0.1, locality: us/a", "address: 10.2.0.2, locality: us/b")
    built = mesh(settings() + service("address: 10.1.0.1, locality: eu/a", *there))
    assert told(built, view(NETWORK="one")) == {
        "eu/a": [("10.1.0.1", 80, 2, True)],
        "us/a": [("192.0.2.2", 15443, 1, True), ("192.0.2.3", 15444, 1, True)],
        "us/b": [("192.0.2.2", 15443, 1, True), ("192.0.2.3", 15444, 1, True)],
    }
    weights = {group.locality.zone: group.load_balancing_weight.value for group in built.endpoints(view(NETWORK="one"), CLUSTER).endpoints}
    assert weights == {"a": 2, "b": 2}


def test_what_does_not_end_mutual_tls_is_out_of_reach_from_elsewhere(mesh, view):
    built = mesh(settings() + service("address: 10.2.0.1, labels: {a: b}", "address: 10.2.0.2"))
    assert told(built, view(NETWORK="one")) == {"": [("192.0.2.2", 15443, 1, True), ("192.0.2.3", 15444, 1, True)]}
    assert told(built, view(NETWORK="two")) == {"": [("10.2.0.1", 80, 2, False), ("10.2.0.2", 80, 2, True)]}


PLAIN = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: a, trafficPolicy: {tls: {mode: DISABLE}}}
"""


def test_a_rule_without_tls_leaves_nothing_elsewhere(mesh, view):
    built = mesh(settings() + service("address: 10.1.0.1", "address: 10.2.0.1") + PLAIN)
    assert told(built, view(NETWORK="one")) == {"": [("10.1.0.1", 80, 2, False)]}


def test_a_network_that_nobody_knows_a_way_into_is_reached_directly(mesh, view):
    built = mesh(settings() + service("address: 10.3.0.1, network: three", "address: 10.9.0.1"))
    assert told(built, view(NETWORK="one")) == {"": [("10.3.0.1", 80, 2, True), ("10.9.0.1", 80, 2, True)]}


def test_a_proxy_that_does_not_say_its_network_is_where_the_ranges_say(mesh, view):
    built = mesh(settings().replace("10.1.0.0/16", "10.0.0.0/24") + service("address: 10.0.0.1"))
    assert told(built, view()) == {"": [("10.0.0.1", 80, 2, True)]}  # the proxy is at 10.0.0.9
    elsewhere = mesh(settings() + service("address: 10.1.0.1"))
    assert told(elsewhere, view()) == {"": [("192.0.2.1", 15443, 2, True)]}  # of no network, and so not within


def test_an_instance_without_an_address_is_behind_the_gateways_of_its_network(mesh, view):
    built = mesh(settings() + service("network: two", "address: 10.1.0.1"))
    assert told(built, view(NETWORK="one"))[""][1:] == [("192.0.2.2", 15443, 1, True), ("192.0.2.3", 15444, 1, True)]
    assert told(built, view(NETWORK="two")) == {"": [("192.0.2.1", 15443, 2, True)]}


def test_a_proxy_may_ask_for_some_networks_only(mesh, view):
    built = mesh(settings() + service("address: 10.1.0.1", "address: 10.2.0.1", "address: 10.9.0.1"))
    assert told(built, view(NETWORK="one", REQUESTED_NETWORK_VIEW=["one"])) == {"": [("10.1.0.1", 80, 2, True), ("10.9.0.1", 80, 2, True)]}


def test_gateways_of_another_ip_version_are_no_way(mesh, view):
    networks = "networks: {two: {endpoints: [{fromCidr: 10.2.0.0/16}], gateways: [{address: '2001:db8::1', port: 15443}]}}"
    built = mesh(settings(networks) + service("address: 10.2.0.1"))
    assert told(built, view(NETWORK="one")) == {}
    assert told(built, view(NETWORK="one", INSTANCE_IPS="10.0.0.9,2001:db8::9"))[""][0][0] == "2001:db8::1"


def test_telemetry_is_not_told_that_a_gateway_is_a_workload(mesh, view):
    built = mesh(settings() + service("address: 10.2.0.1"))
    (group,) = built.endpoints(view(NETWORK="one"), CLUSTER).endpoints
    assert all(list(one.metadata.filter_metadata) == ["envoy.transport_socket_match"] for one in group.lb_endpoints)


EAST_WEST = """
---
apiVersion: v1
kind: Service
metadata: {name: east-west, namespace: istio-system, labels: {topology.istio.io/network: two%s}}
spec: {type: LoadBalancer, clusterIP: 10.96.0.9, ports: [{name: tls, port: %d}], externalIPs: [192.0.2.9]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.8}, {hostname: lb.example.com}]}}
"""


@pytest.mark.parametrize(
    ("label", "port", "found"), [("", 15443, 15443), (", networking.istio.io/gatewayPort: '15999'", 15999, 15999), ("", 15999, None)]
)
def test_a_service_labelled_with_a_network_is_its_gateway(mesh, view, label, port, found):
    built = mesh(service("address: 10.2.0.1, network: two") + EAST_WEST % (label, port))
    expected = [("192.0.2.8", found, 1, True), ("192.0.2.9", found, 1, True)] if found else [("10.2.0.1", 80, 1, True)]
    assert told(built, view(NETWORK="one")) == {"": expected}


BY_NAME = "networks: {two: {endpoints: [{fromRegistry: %s}], gateways: [{registryServiceName: %s, port: 15443}]}}"


def test_a_service_of_the_registry_is_a_gateway_by_name(mesh, view):
    host = "east-west.istio-system.svc.cluster.local"
    plain = (EAST_WEST % ("", 15443)).replace("topology.istio.io/network: two", "a: b")
    built = mesh(settings(BY_NAME % ("Kubernetes", host)) + service("address: 10.2.0.1") + plain)
    assert [row[:2] for row in told(built, view(NETWORK="one"))[""]] == [("192.0.2.8", 15443), ("192.0.2.9", 15443)]
    assert told(built, view(NETWORK="two")) == {"": [("10.2.0.1", 80, 2, True)]}
    elsewhere = mesh(settings(BY_NAME % ("other", host)) + service("address: 10.2.0.1") + plain)
    assert told(elsewhere, view(NETWORK="one")) == {"": [("10.2.0.1", 80, 1, True)]}


def test_a_gateway_may_be_a_service_without_a_cluster(mesh, view):
    gateway = SERVICE.replace("name: a}", "name: g}").replace(HOST, "gateway.example.com") % "  - {address: 192.0.2.7}"
    gateway = gateway.replace("number: 80, name: http", "number: 15443, name: tls")
    built = mesh(settings(BY_NAME % ("Kubernetes", "gateway.example.com")) + service("address: 10.2.0.1") + gateway)
    assert told(built, view(NETWORK="one")) == {"": [("192.0.2.7", 15443, 1, True)]}


def test_the_root_namespace_says_the_network_of_whatever_says_none(mesh, view):
    label = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system, labels: {topology.istio.io/network: two}}\n"
    built = mesh(settings() + label + service("address: 10.1.0.1", "address: 10.1.0.2, network: one"))
    assert told(built, view(NETWORK="two")) == {"": [("10.1.0.1", 80, 2, True), ("192.0.2.1", 15443, 2, True)]}


def workload(cluster, ip):
    return Workload(name=cluster, namespace="default", ip=ip, labels={"app": "a"}, cluster_id=cluster)


def test_services_may_stay_within_a_cluster(mesh, view):
    entry = SERVICE.replace("  endpoints:\n%s", "  workloadSelector: {labels: {app: a}}")
    there = [workload("x", "10.0.0.1"), workload("y", "10.0.0.2")]

    def addresses(local):
        built = mesh(settings("{}", f"serviceSettings: [{local}]") + entry, there)
        return [row[0] for row in told(built, view(CLUSTER_ID="x"))[""]]

    local = "{settings: {clusterLocal: true}, hosts: ['*.default.svc.cluster.local']}"
    assert addresses("") == ["10.0.0.1", "10.0.0.2"]
    assert addresses(local) == ["10.0.0.1"]
    assert addresses(f"{local}, {{hosts: [{HOST}]}}") == ["10.0.0.1", "10.0.0.2"]  # the most specific setting counts


def problems(networks):
    return [str(one) for one in parse_text(settings(networks), "f").problems]


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ("networks: {a: {gateway: []}}", 'networks.a.gateway: unknown field (did you mean "gateways"?)'),
        ("networks: {a: {endpoints: [{fromCidr: 10.0.0.0/33}]}}", "networks.a.endpoints[0].fromCidr: "),
        ("networks: {a: {endpoints: [{}]}}", "networks.a.endpoints[0]: needs one of fromCidr and fromRegistry"),
        ("networks: {a: {gateways: [{address: 1.2.3.4}]}}", "networks.a.gateways[0]: the port 0"),
        ("networks: {a: {gateways: [{port: 1}]}}", "networks.a.gateways[0]: needs one of registryServiceName and address"),
        ("networks: {a: {gateways: [{address: a.b, registryServiceName: c.d, port: 1}]}}", "cannot be set together"),
        ("networks: {a: {endpoints: [{fromCidr: 10.0.0.0/8}]}, b: {endpoints: [{fromCidr: 10.1.0.0/16}]}}", "10.1.0.0/16 is in part of"),
    ],
)
def test_a_mistake_is_told_at_its_place(networks, expected):
    (line,) = problems(networks)
    assert line.startswith("f:9:")
    assert f"ConfigMap istio: data.meshNetworks.{expected}" in line or expected in line


NAMED = TWO.replace("192.0.2.3", "gateway.example.com")


def test_a_gateway_may_be_a_name_and_is_at_each_of_its_addresses(mesh, view):
    text = settings(NAMED) + service("address: 10.1.0.1", "address: 10.2.0.1")
    unknown = mesh(text)
    assert unknown.snapshot.networks.names == {"gateway.example.com"}
    assert told(unknown, view(NETWORK="one")) == {"": [("10.1.0.1", 80, 1, True), ("192.0.2.2", 15443, 1, True)]}
    known = mesh(text, names={"gateway.example.com": ("192.0.2.4", "192.0.2.5", "2001:db8::1")})
    gateways = [("192.0.2.2", 15443, 1, True), ("192.0.2.4", 15444, 1, True), ("192.0.2.5", 15444, 1, True)]
    assert told(known, view(NETWORK="one")) == {"": [("10.1.0.1", 80, 4, True), *gateways]}


def test_a_load_balancer_may_have_a_name_only(mesh, view):
    text = (service("address: 10.2.0.1, network: two") + EAST_WEST % ("", 15443)).replace(", externalIPs: [192.0.2.9]", "")
    built = mesh(text.replace("{ip: 192.0.2.8}, ", ""), names={"lb.example.com": ("192.0.2.5",)})
    assert told(built, view(NETWORK="one")) == {"": [("192.0.2.5", 15443, 1, True)]}


AT_NODES = """
---
apiVersion: v1
kind: Service
metadata:
  name: east-west
  namespace: istio-system
  labels: {topology.istio.io/network: two}
  annotations: {traffic.istio.io/nodeSelector: '%s'}
spec: {type: NodePort, clusterIP: 10.96.0.9, ports: [{name: tls, port: 15443, nodePort: 31443}]}
---
apiVersion: v1
kind: Node
metadata: {name: a, labels: {role: edge}}
status: {addresses: [{type: InternalIP, address: 10.9.0.1}, {type: ExternalIP, address: 192.0.2.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: b, labels: {role: other}}
status: {addresses: [{type: ExternalIP, address: 192.0.2.12}]}
---
apiVersion: v1
kind: Node
metadata: {name: c, labels: {role: edge}}
status: {addresses: [{type: InternalIP, address: 10.9.0.3}]}
"""


@pytest.mark.parametrize(
    ("selector", "hosts"),
    [('{"role": "edge"}', ["192.0.2.11"]), ("{}", ["192.0.2.11", "192.0.2.12"]), ('{"role": "none"}', []), ("edge", []), ("[]", [])],
)
def test_a_node_port_is_a_gateway_at_the_nodes_that_its_annotation_selects(mesh, view, selector, hosts):
    built = mesh(service("address: 10.2.0.1, network: two") + AT_NODES % selector)
    expected = [(host, 31443, 1, True) for host in hosts] or [("10.2.0.1", 80, 1, True)]
    assert told(built, view(NETWORK="one")) == {"": expected}


def test_a_node_port_without_the_annotation_is_no_gateway(mesh, view):
    built = mesh(service("address: 10.2.0.1, network: two") + (AT_NODES % "{}").replace("traffic.istio.io/nodeSelector", "other"))
    assert told(built, view(NETWORK="one")) == {"": [("10.2.0.1", 80, 1, True)]}
