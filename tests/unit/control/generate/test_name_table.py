"""NDS: what a sidecar's DNS proxy is told, and the listeners behind the addresses that only it can tell."""

import pytest

from pymesh.xds import nds, proto, types
from pymesh_control.generate import generate

OUTSIDE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.example.com]
  ports: [{number: 5432, name: tcp-db, protocol: TCP}, {number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec: {hosts: [a.example.com, b.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: fixed}
spec:
  hosts: ["*.fixed.example.com"]
  addresses: [10.9.0.1, 10.9.1.0/24, "fd00::1"]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: anywhere}
spec: {hosts: [any.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: NONE}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: block}
spec: {hosts: [block.example.com], addresses: [10.9.2.0/24], ports: [{number: 443, name: tls, protocol: TLS}]}
"""
DB = "db.shop.svc.cluster.local"
UNREADY = """
---
apiVersion: v1
kind: Pod
metadata: {name: db-2, namespace: shop, labels: {app: db}}
spec: {subdomain: db}
status: {podIP: 10.1.0.12, conditions: [{type: Ready, status: "False"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-3, namespace: shop, labels: {app: db, topology.istio.io/network: far}}
spec: {hostname: third, subdomain: db}
status: {podIP: 10.1.0.13}
"""


@pytest.fixture
def seen(mesh):
    return mesh(OUTSIDE)


@pytest.fixture
def resolving(view):
    """A sidecar that answers DNS queries."""
    return view(DNS_CAPTURE="true")


def table(mesh, view):
    return {host: list(info.ips) for host, info in mesh.sees(view, types.NAME_TABLE)[""].table.items()}


def test_services_of_the_cluster_come_with_what_their_short_names_are_made_of(mesh, cluster, view):
    found = mesh(cluster).sees(view(NAMESPACE="shop"), types.NAME_TABLE)[""].table["cart.shop.svc.cluster.local"]
    assert found == nds.NameTable.NameInfo(ips=["10.96.0.7"], registry="Kubernetes", shortname="cart", namespace="shop")


def test_other_services_come_with_their_hosts_alone(seen, view):
    found = seen.sees(view(), types.NAME_TABLE)[""].table["*.fixed.example.com"]
    assert found == nds.NameTable.NameInfo(ips=["10.9.0.1"], registry="External")


def test_a_headless_service_is_its_pods_and_each_has_its_name(mesh, cluster, view):
    found = table(mesh(cluster), view(NAMESPACE="shop"))
    assert found[DB] == ["10.1.0.10", "10.1.0.11"]
    assert (found[f"db-0.{DB}"], found[f"db-1.{DB}"]) == (["10.1.0.10"], ["10.1.0.11"])


def test_the_name_of_a_pod_is_of_the_cluster_too(mesh, cluster, view):
    found = mesh(cluster).sees(view(NAMESPACE="shop"), types.NAME_TABLE)[""].table[f"db-0.{DB}"]
    assert (found.registry, found.shortname, found.namespace) == ("Kubernetes", "db-0.db", "shop")


def test_pods_that_are_not_ready_or_out_of_reach_are_left_out(mesh, cluster, view):
    found = table(mesh(cluster + UNREADY), view(NAMESPACE="shop", NETWORK="net1"))
    assert found[DB] == ["10.1.0.10", "10.1.0.11"]
    assert not {f"db-2.{DB}", f"third.{DB}"} & set(found)


def test_a_client_that_tells_no_network_reaches_all(mesh, cluster, view):
    assert table(mesh(cluster + UNREADY), view(NAMESPACE="shop"))[f"third.{DB}"] == ["10.1.0.13"]


def test_what_has_no_address_is_not_there(seen, view):
    assert set(table(seen, view())) == {"*.fixed.example.com"}


def test_who_answers_dns_queries_has_the_meshs_own_addresses(seen, resolving):
    found = table(seen, resolving)
    (fixed,) = found.pop("*.fixed.example.com")
    assert fixed == "10.9.0.1"
    assert set(found) == {"a.example.com", "b.example.com", "db.example.com"}
    assert len({address for (address,) in found.values() if address.startswith("240.240.")}) == 3


@pytest.mark.parametrize(
    ("ips", "starts"),
    [("10.0.0.9", ["240.240."]), ("fd00::9", ["2001:2::"]), ("fd00::9,10.0.0.9", ["240.240.", "2001:2::"])],
)
def test_they_are_of_the_clients_own_ip_versions(seen, view, ips, starts):
    found = table(seen, view(DNS_CAPTURE=True, INSTANCE_IPS=ips))["db.example.com"]
    assert len(found) == len(starts)
    assert all(map(str.startswith, found, starts))


def test_they_have_listeners_and_are_names_of_virtual_hosts(seen, resolving):
    (address,) = table(seen, resolving)["db.example.com"]
    listeners = seen.listeners(resolving)
    assert (f"{address}_5432" in listeners, "0.0.0.0_5432" in listeners) == (True, False)
    assert address in seen.hosts(resolving, "80")["db.example.com:80"].domains
    tcp = proto.unpack(listeners[f"{address}_5432"].filter_chains[0].filters[-1].typed_config)
    assert tcp.cluster == "outbound|5432||db.example.com"


def test_who_answers_none_has_none_of_them(seen, view):
    assert not any("240.240" in name for name in seen.listeners(view()))
    assert seen.listeners(view(DNS_CAPTURE="false")).keys() == seen.listeners(view()).keys()


def test_a_gateway_has_no_table(seen, view):
    assert seen.sees(view("router", DNS_CAPTURE="true"), types.NAME_TABLE) == {}


def test_a_table_changes_with_what_it_says_only(mesh, view):
    one, same, other = mesh(OUTSIDE), mesh(OUTSIDE + "---\n"), mesh(OUTSIDE.replace("10.9.0.1", "10.9.0.2"))
    versions = [generate(each.snapshot, view(), types.NAME_TABLE, None)[""].version for each in (one, same, other)]
    assert versions[0] == versions[1] != versions[2]

