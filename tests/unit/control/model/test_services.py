"""Services and their instances, as ServiceEntries, WorkloadEntries and registrations make them."""

from pymesh_control.model.workload import Workload

from .answering import answering

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, targetPort: 8080}]
  workloadSelector: {labels: {app: reviews}}
"""
HOST = "reviews.shop.svc.cluster.local"


def workload(name, namespace="shop", ip="10.0.0.1", **more):
    return Workload(name=name, namespace=namespace, ip=ip, labels={"app": "reviews"}, **more)


def instances(built, workloads, text=ENTRY):
    return [(one.workload.name, one.port) for one in answering(built(text, workloads)[0], HOST)]


def test_a_selector_takes_the_workloads_of_its_own_namespace(built):
    others = [workload("elsewhere", namespace="web"), Workload(name="unlike", namespace="shop", ip="10.0.0.2", labels={"app": "x"})]
    assert instances(built, [workload("here"), *others]) == [("here", 8080)]


def test_a_workloads_own_port_comes_before_the_target_port(built):
    assert instances(built, [workload("bound", ports={"http": 21001})]) == [("bound", 21001)]


def test_declared_and_registered_workloads_are_instances_alike(built):
    declared = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: declared, namespace: shop}
spec: {address: 10.0.0.5, labels: {app: reviews}, ports: {http: 9999}}
"""
    assert instances(built, [workload("registered")], ENTRY + declared) == [("declared", 9999), ("registered", 8080)]


def test_two_entries_of_one_host_join_their_ports_and_instances(built):
    more = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: more, namespace: shop}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 90, name: tcp}]
  endpoints: [{address: 10.0.0.8}]
"""
    snapshot = built(ENTRY + more, [workload("one")])[0]
    assert [port.number for port in snapshot.service(HOST, "shop").ports] == [80, 90]
    assert {one.workload.ip for one in answering(snapshot, HOST)} == {"10.0.0.8", "10.0.0.1"}


def test_a_name_found_by_dns_is_its_own_instance(built):
    text = ENTRY.replace("STATIC", "DNS").replace("  workloadSelector: {labels: {app: reviews}}\n", "")
    assert [(one.workload.ip, one.port) for one in answering(built(text)[0], HOST)] == [(HOST, 8080)]


def test_a_namespace_sees_its_own_service_of_a_host_before_anothers(built):
    other = ENTRY.replace("namespace: shop", "namespace: web").replace("name: reviews", "name: copy")
    snapshot, _ = built(ENTRY + other)
    assert snapshot.service(HOST, "web").namespace == "web"
    assert snapshot.service(HOST, "third").namespace == "shop"


def test_where_nothing_is_selected_there_is_no_instance_to_ask_dns_for(built):
    assert answering(built(ENTRY.replace("STATIC", "DNS"))[0], HOST) == ()


def test_a_service_that_is_exported_to_a_namespace_comes_before_one_for_all(built):
    other = ENTRY.replace("namespace: shop", "namespace: few").replace("name: reviews", "name: copy") + "  exportTo: [web]\n"
    snapshot, _ = built(ENTRY + other)
    assert snapshot.service(HOST, "web").namespace == "few"
    assert snapshot.service(HOST, "third").namespace == "shop"


def test_a_service_of_the_cluster_comes_before_an_entry_of_another_namespace(built):
    cluster = "---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
    other = ENTRY.replace("namespace: shop", "namespace: few") + "  exportTo: [web, few]\n"
    snapshot, _ = built(other + cluster)
    assert snapshot.service(HOST, "web").namespace == "shop"
    assert snapshot.service(HOST, "few").namespace == "few"


def test_a_service_that_is_not_exported_is_not_seen(built):
    snapshot, _ = built(ENTRY + "  exportTo: ['.']\n")
    assert snapshot.service(HOST, "web") is None
    assert snapshot.service(HOST, "shop") is not None


def test_a_workload_belongs_to_the_services_that_select_or_list_it(built):
    listed = ENTRY.replace("name: reviews,", "name: listed,").replace("hosts: [reviews", "hosts: [listed")
    listed = listed.replace("workloadSelector: {labels: {app: reviews}}", "endpoints: [{address: 10.0.0.1}]")
    memberships = built(ENTRY + listed)[0].memberships
    assert [one.name for one in memberships.of("shop", {"app": "reviews"}, "10.0.0.1")] == ["reviews", "listed"]
    assert memberships.of("shop", {"app": "other"}, "10.0.0.2") == []


def test_a_static_service_leaves_out_what_only_dns_could_find_and_says_so(built):
    text = (
        ENTRY
        + """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: named, namespace: shop}
spec: {address: host.example.com, labels: {app: reviews}}
"""
    )
    snapshot, problems = built(text, [workload("one")])
    assert [one.workload.name for one in answering(snapshot, HOST)] == ["one"]
    assert [problem.severity for problem in problems] == ["warning"]
    assert "host.example.com" in problems[0].message


def test_a_service_entry_may_wish_that_its_traffic_stays_close(built):
    wish = "annotations: {networking.istio.io/traffic-distribution: PreferClose}"
    (close,) = built(ENTRY.replace("{name: reviews,", f"{{name: reviews, {wish},"), [])[0].services
    assert close.locality.failover_priority[1:] == ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]
    (anywhere,) = built(ENTRY, [])[0].services
    assert anywhere.locality is None


def test_the_workload_of_an_entry_is_named_by_its_group_or_its_label_and_stands_where_its_label_says(built):
    entry = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: e, namespace: shop, annotations: {%s}}
spec: {address: 10.0.0.1, labels: {topology.istio.io/locality: eu.west}}
"""
    (plain,), (grouped,) = (built(entry % text, [])[0].workloads for text in ("", "istio.io/autoRegistrationGroup: web"))
    assert (plain.name, plain.locality, grouped.name) == ("e", "eu/west", "web")
