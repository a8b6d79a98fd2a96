"""What proxies are told of Kubernetes Services: clusters, listeners, routes and endpoints."""

import pytest

from pymesh.xds import proto

CART, DB = "cart.shop.svc.cluster.local", "db.shop.svc.cluster.local"
CLUSTER = proto.cluster.Cluster
ALIASED = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front, namespace: shop}
spec: {hosts: [front.example], http: [{route: [{destination: {host: basket, port: {number: 80}}}]}]}
"""


@pytest.fixture
def seen(mesh, cluster):
    return mesh(cluster)


@pytest.fixture
def shop(view):
    """A sidecar of another workload of the namespace, on the node of the first pod."""
    return view(NAMESPACE="shop", LABELS={"app": "web"}, NODE_NAME="node-a")


def groups(assignment):
    """(priority, zone, [(address, port, health)]) of each group."""
    return [
        (
            group.priority,
            group.locality.zone,
            [
                (one.endpoint.address.socket_address.address, one.endpoint.address.socket_address.port_value, one.health_status)
                for one in group.lb_endpoints
            ],
        )
        for group in assignment.endpoints
    ]


def domains(seen, view, name, host):
    return list(seen.hosts(view, name)[host].domains)


def test_a_service_listens_on_its_virtual_ip(seen, shop):
    listeners = seen.listeners(shop)
    assert {"0.0.0.0_80", "10.96.0.7_5000", "10.96.0.7_7000"} <= set(listeners)
    assert not any(name.endswith("_53") for name in listeners)
    assert "10.96.0.7" in domains(seen, shop, "80", f"{CART}:80")


def test_health_and_ports_are_those_of_the_slices_and_identity_that_of_the_pods(seen, shop):
    assignment = seen.endpoints(shop, f"outbound|80||{CART}")
    assert [instances for _, _, instances in groups(assignment)] == [[("10.1.0.1", 8080, 1)], [("10.1.0.2", 8080, 2)]]
    first = assignment.endpoints[0].lb_endpoints[0].metadata.filter_metadata
    assert first["istio"]["workload"] == "cart;shop;cart;v1;Kubernetes"
    assert first["envoy.transport_socket_match"]["tlsMode"] == "istio"
    assert "envoy.transport_socket_match" not in assignment.endpoints[1].lb_endpoints[0].metadata.filter_metadata


def test_a_service_that_prefers_what_is_close_has_priorities_without_outlier_detection(mesh, cluster, view):
    seen = mesh(cluster)
    name = f"outbound|80||{CART}"
    for node, first in (("node-a", "eu-1"), ("node-b", "eu-2")):
        pod = {"node-a": "10.1.0.1", "node-b": "10.1.0.2"}[node]
        there = view(NAMESPACE="shop", INSTANCE_IPS=pod, NETWORK="net1")
        assert next((priority, zone) for priority, zone, _ in groups(seen.endpoints(there, name))) == (0, first)
        assert {priority for priority, _, _ in groups(seen.endpoints(there, name))} == {0, 1}


def test_a_rule_that_switches_locality_off_stands_over_the_service(mesh, cluster, view):
    rule = f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart, namespace: shop}}
spec: {{host: {CART}, trafficPolicy: {{loadBalancer: {{localityLbSetting: {{enabled: false}}}}}}}}
"""
    there = view(NAMESPACE="shop", INSTANCE_IPS="10.1.0.1", NETWORK="net1")
    assert {priority for priority, _, _ in groups(mesh(cluster + rule).endpoints(there, f"outbound|80||{CART}"))} == {0}


def test_a_headless_service_is_reached_at_the_address_that_was_called(seen, shop):
    clusters, listeners = seen.clusters(shop), seen.listeners(shop)
    assert {clusters[f"outbound|{port}||{DB}"].type for port in (80, 5432, 9000)} == {CLUSTER.ORIGINAL_DST}
    assert {"10.1.0.10_5432", "10.1.0.11_5432", "10.1.0.10_9000", "10.1.0.11_9000"} <= set(listeners)
    assert not {"0.0.0.0_5432", "10.1.0.10_80"} & set(listeners)
    assert f"*.{DB}" in domains(seen, shop, "80", f"{DB}:80")


def test_a_pod_of_a_headless_service_has_no_listener_for_itself(seen, view):
    listeners = seen.listeners(view(NAMESPACE="shop", INSTANCE_IPS="10.1.0.10", LABELS={"app": "db"}))
    assert "10.1.0.11_5432" in listeners
    assert not any(name.startswith("10.1.0.10_") for name in listeners)


@pytest.mark.parametrize("client", [{"kind": "router"}, {"INTERCEPTION_MODE": "NONE"}], ids=["gateway", "without-capture"])
def test_who_sees_no_original_address_gets_the_pods_of_a_headless_service(seen, view, client):
    there = view(**client, NAMESPACE="shop")
    name = f"outbound|80||{DB}"
    assert seen.clusters(there)[name].type == CLUSTER.EDS
    assert len(groups(seen.endpoints(there, name))) == 2


def test_mutual_tls_to_a_headless_service_takes_all_of_its_pods(mesh, cluster, shop):
    name = f"outbound|5432||{DB}"
    assert not mesh(cluster).clusters(shop)[name].HasField("transport_socket")
    some = cluster.replace("pod-name: db-0}", "pod-name: db-0, security.istio.io/tlsMode: istio}")
    assert not mesh(some).clusters(shop)[name].HasField("transport_socket")
    every = some.replace("pod-name: db-1}", "pod-name: db-1, security.istio.io/tlsMode: istio}")
    assert mesh(every).clusters(shop)[name].HasField("transport_socket")


def test_an_external_name_is_another_name_of_its_service(mesh, cluster, shop):
    seen = mesh(cluster + ALIASED)
    assert not any("basket" in name for name in (*seen.clusters(shop), *seen.listeners(shop)))
    called = domains(seen, shop, "80", f"{CART}:80")
    assert {"basket.shop.svc.cluster.local", "basket", "basket.shop", "basket.shop.svc"} <= set(called)
    assert seen.hosts(shop, "80")["front.example:80"].routes[0].route.cluster == f"outbound|80||{CART}"


def test_endpoints_without_slices_are_used(seen, shop):
    assert groups(seen.endpoints(shop, "outbound|443||elder.shop.svc.cluster.local")) == [
        (0, "", [("10.2.0.1", 8443, 1), ("10.2.0.2", 8443, 2)])
    ]


def test_a_pod_serves_where_the_slice_says_that_it_listens(seen, view):
    listening = seen.clusters(view(NAMESPACE="shop", INSTANCE_IPS="10.1.0.1", LABELS={"app": "cart"}))
    assert {"inbound|8080||", "inbound|5000||", "inbound|7000||"} <= set(listening)


def test_pods_of_a_headless_service_are_called_under_every_name_of_it(mesh, view):
    service = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: None, ports: [{port: 80, name: http}]}
"""
    names = ["db.default.svc.cluster.local", "db.default.svc.cluster.local.", "db", "db.default", "db.default.svc"]
    host = mesh(service).hosts(view(), "80")["db.default.svc.cluster.local:80"]
    assert list(host.domains) == [*names, *(f"*.{name}" for name in names)]


def test_a_host_without_resolution_is_no_other_host(mesh, view):
    text = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: [example.com], resolution: NONE, ports: [{number: 80, name: http}]}
"""
    assert list(mesh(text).hosts(view(), "80")["example.com:80"].domains) == ["example.com", "example.com."]


def test_tls_to_an_external_name_is_told_by_all_its_names(mesh, view):
    text = """
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: secure.example.com}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: secure}
spec: {hosts: [secure.example.com], resolution: DNS, ports: [{number: 443, name: tls}]}
"""
    (chain,) = mesh(text).listeners(view())["0.0.0.0_443"].filter_chains
    called = ["secure.example.com", "alias.default.svc.cluster.local", "alias", "alias.default", "alias.default.svc"]
    assert list(chain.filter_chain_match.server_names) == called


def test_a_service_of_each_node_is_served_there_alone(mesh, view):
    text = """
apiVersion: v1
kind: Service
metadata: {name: agent, namespace: default}
spec: {clusterIP: 10.96.0.4, internalTrafficPolicy: Local, selector: {app: agent}, ports: [{port: 80, name: http}]}
"""
    for node, address in (("one", "10.0.1.1"), ("two", "10.0.2.1")):
        text += f"""---
apiVersion: v1
kind: Pod
metadata: {{name: agent-{node}, namespace: default, labels: {{app: agent}}}}
spec: {{nodeName: {node}}}
status: {{podIP: {address}, phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}
"""
    built = mesh(text)
    for node, addresses in (("one", ["10.0.1.1"]), ("two", ["10.0.2.1"]), ("three", [])):
        found = built.endpoints(view(NODE_NAME=node), "outbound|80||agent.default.svc.cluster.local").endpoints
        assert [one.endpoint.address.socket_address.address for group in found for one in group.lb_endpoints] == addresses
