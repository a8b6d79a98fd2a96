"""What Kubernetes' own objects make of the mesh: services, their instances, and by which names they are called."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh.api import parse_text
from pymesh_control.model.assembly import build
from pymesh_control.model.protocol import Protocol
from pymesh_control.model.workload import Health, Workload

from .answering import answering

HOST = "web.shop.svc.cluster.local"


def thing(kind, name, *, labels=None, annotations=None, version="v1", namespace="shop", **body):
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}, "annotations": annotations or {}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def service(name="web", *, labels=None, annotations=None, **spec):
    chosen = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    return thing("Service", name, labels=labels, annotations=annotations, spec=chosen)


def pod(name, ip, *, ready=None, labels=None, deleted=False, spec=None, **status):
    conditions = [] if ready is None else [{"type": "Ready", "status": str(ready)}]
    made = thing(
        "Pod", name, labels={"app": "web", **(labels or {})}, spec=spec or {}, status={"podIP": ip, "conditions": conditions, **status}
    )
    if deleted:
        made["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    return made


def endpoint_slice(*endpoints, name="web-1", family="IPv4", ports=({"name": "http", "port": 8080},)):
    labels = {"kubernetes.io/service-name": "web"}
    body = {"addressType": family, "endpoints": list(endpoints), "ports": list(ports)}
    return thing("EndpointSlice", name, labels=labels, version="discovery.k8s.io/v1", **body)


def at(address, **more):
    return {"addresses": [address], **more}


def entry(**spec):
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "e", "namespace": "shop"}, "spec": spec}


def text_of(*objects):
    return "\n---\n".join(json.dumps(one) for one in objects)


@pytest.fixture
def snapshot(built):
    return lambda *objects, workloads=(): built(text_of(*objects), workloads)[0]


@pytest.fixture
def instances(snapshot):
    """(address, port, health) of each instance of the service `web` at a port."""

    def look(*objects, port=80, host=HOST, workloads=()):
        found = answering(snapshot(*objects, workloads=workloads), host, port=port)
        return [(one.workload.ip, one.port, str(one.workload.health)) for one in found]

    return look


def test_a_list_in_yaml_is_its_items():
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [service(), pod("a", "10.0.0.1")]})
    assert [one.kind for one in parse_text(text, "f").resources] == ["Service", "Pod"]


def test_without_slices_a_selector_takes_pods(instances):
    others = [pod("b", "10.0.0.2", labels={"app": "x"}), pod("ended", "10.0.0.3", phase="Succeeded"), pod("waiting", None)]
    assert instances(service(), pod("a", "10.0.0.1", ready=True), *others) == [("10.0.0.1", 8080, "HEALTHY")]


def test_slices_stand_over_pods(instances):
    assert instances(service(), pod("a", "10.0.0.1"), endpoint_slice(at("10.0.0.9"))) == [("10.0.0.9", 8080, "HEALTHY")]
    assert instances(service(), pod("a", "10.0.0.1"), endpoint_slice()) == []


@pytest.mark.parametrize(
    ("conditions", "health"),
    [
        ({}, "HEALTHY"),
        ({"ready": True, "serving": True, "terminating": False}, "HEALTHY"),
        ({"ready": False}, "UNHEALTHY"),
        ({"ready": False, "serving": False, "terminating": False}, "UNHEALTHY"),
        ({"ready": False, "serving": True, "terminating": True}, None),
        ({"ready": False, "serving": False, "terminating": True}, None),
        ({"ready": True, "terminating": True}, "HEALTHY"),  # publishNotReadyAddresses
    ],
)
def test_conditions_are_health(instances, conditions, health):
    assert [one for *_, one in instances(service(), endpoint_slice(at("10.0.0.1", conditions=conditions)))] == ([health] if health else [])


@pytest.mark.parametrize(("serving", "told"), [(True, ["DRAINING"]), (None, ["DRAINING"]), (False, [])])
def test_an_instance_that_ends_is_told_where_sessions_stay(instances, serving, told):
    sticky = service(labels={"istio.io/persistent-session": "c"})
    ending = at("10.0.0.1", conditions={"ready": False, "serving": serving, "terminating": True})
    assert [health for *_, health in instances(sticky, endpoint_slice(ending))] == told


def test_a_pod_that_is_deleted_gets_no_requests(instances):
    gone = pod("a", "10.0.0.1", ready=True, deleted=True)
    assert instances(service(), gone) == []
    assert instances(service(labels={"istio.io/persistent-session": "c"}), gone) == [("10.0.0.1", 8080, "DRAINING")]


def test_pods_that_are_not_ready_are_unhealthy_unless_the_service_wants_them(instances):
    sick = pod("a", "10.0.0.1", ready=False)
    assert instances(service(), sick) == [("10.0.0.1", 8080, "UNHEALTHY")]
    assert instances(service(publishNotReadyAddresses=True), sick) == [("10.0.0.1", 8080, "HEALTHY")]


def test_a_named_target_is_the_port_of_each_pods_container(instances):
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    one = {"containers": [{"name": "a", "ports": [{"name": "web", "containerPort": 3000}]}]}
    two = {"containers": [{"name": "a", "ports": [{"name": "web", "containerPort": 4000}]}]}
    found = instances(named, pod("a", "10.0.0.1", spec=one), pod("b", "10.0.0.2", spec=two), pod("c", "10.0.0.3"))
    assert found == [("10.0.0.1", 3000, "HEALTHY"), ("10.0.0.2", 4000, "HEALTHY")]


def test_slices_match_ports_by_name_and_an_address_stands_once(instances):
    twice = [endpoint_slice(at("10.0.0.1")), endpoint_slice(at("10.0.0.1"), at("10.0.0.2"), name="web-2")]
    assert [address for address, *_ in instances(service(), *twice)] == ["10.0.0.1", "10.0.0.2"]
    assert instances(service(), endpoint_slice(at("10.0.0.1"), ports=[{"name": "other", "port": 1}])) == []
    unnamed = endpoint_slice(at("10.0.0.1"), ports=[{"port": 81}])
    assert instances(service(ports=[{"port": 80}]), unnamed) == [("10.0.0.1", 81, "HEALTHY")]


@pytest.mark.parametrize(("families", "address"), [([], "10.0.0.1"), (["IPv4", "IPv6"], "10.0.0.1"), (["IPv6", "IPv4"], "fd00::1")])
def test_of_two_families_the_services_first_is_used(instances, families, address):
    both = [endpoint_slice(at("10.0.0.1")), endpoint_slice(at("fd00::1"), name="web-6", family="IPv6")]
    assert [ip for ip, *_ in instances(service(ipFamilies=families), *both)] == [address]


def test_slices_of_host_names_are_refused(built):
    _, problems = built(text_of(service(), endpoint_slice(at("a.example"), family="FQDN")))
    assert ["addressType: FQDN is not supported" in problem.message for problem in problems if problem.severity == "error"] == [True]


@pytest.mark.parametrize(
    ("reference", "labels"),
    [
        ({}, {"app": "web"}),
        ({"targetRef": {"kind": "Pod", "name": "a"}}, {"app": "web"}),
        ({"targetRef": {"kind": "Pod", "name": "unknown"}}, {}),
        ({"nodeName": "n"}, {"app": "web"}),
        ({"nodeName": "other"}, {}),
    ],
)
def test_the_pod_behind_an_address_is_the_one_referred_to(snapshot, reference, labels):
    found = snapshot(service(), pod("a", "10.0.0.1", spec={"nodeName": "n"}), endpoint_slice(at("10.0.0.1", **reference)))
    assert answering(found, HOST)[0].workload.labels == labels


def test_workloads_outside_the_cluster_are_selected_too(instances):
    outside = Workload(name="vm", namespace="shop", ip="10.9.0.1", labels={"app": "web"}, ports={"http": 9090})
    found = instances(service(), endpoint_slice(at("10.0.0.1")), workloads=[outside])
    assert found == [("10.0.0.1", 8080, "HEALTHY"), ("10.9.0.1", 9090, "HEALTHY")]


def test_a_service_entry_selects_pods(instances):
    selecting = entry(
        hosts=["pods.example"],
        location="MESH_INTERNAL",
        resolution="STATIC",
        ports=[{"number": 80, "name": "http", "targetPort": 8081}],
        workloadSelector={"labels": {"app": "web"}},
    )
    ending = pod("b", "10.0.0.2", ready=True, deleted=True)
    assert instances(selecting, pod("a", "10.0.0.1"), ending, host="pods.example") == [("10.0.0.1", 8081, "HEALTHY")]


def test_a_service_entry_of_the_same_host_only_decorates(snapshot):
    other = entry(hosts=[HOST], ports=[{"number": 81, "name": "tcp"}], resolution="STATIC", subjectAltNames=["spiffe://x/y"])
    for objects in ([service(), other], [other, service()]):
        whole = snapshot(*objects, pod("a", "10.0.0.1"))
        found = whole.service(HOST, "shop")
        assert [port.number for port in found.ports] == [80]
        assert (found.external, found.subject_alt_names, len(answering(whole, HOST))) == (False, ("spiffe://x/y",), 1)


def test_protocols_are_told_by_app_protocol_then_name_then_number(snapshot):
    ports = [
        {"name": "tcp-a", "port": 1, "appProtocol": "kubernetes.io/h2c"},
        {"name": "b", "port": 2, "appProtocol": "kubernetes.io/ws"},
        {"name": "c", "port": 3, "appProtocol": "kubernetes.io/wss"},
        {"name": "http-d", "port": 4, "appProtocol": "grpc-web"},
        {"name": "http-e", "port": 5, "appProtocol": "own/proto"},
        {"name": "grpc-f", "port": 6},
        {"name": "g", "port": 3306},
        {"name": "http-h", "port": 8, "protocol": "UDP"},
    ]
    found = snapshot(service(ports=ports)).service(HOST, "shop")
    kinds = [Protocol.HTTP2, Protocol.HTTP, Protocol.HTTPS, Protocol.GRPC_WEB, Protocol.AUTO, Protocol.GRPC, Protocol.TCP]
    assert [port.protocol for port in found.ports] == kinds


def test_export_to_limits_who_sees_a_service(snapshot):
    seen = snapshot(service(annotations={"networking.istio.io/exportTo": "., web"}))
    assert [seen.service(HOST, namespace) is not None for namespace in ("shop", "web", "other")] == [True, True, False]
    assert snapshot(service(annotations={"networking.istio.io/exportTo": "~"})).service(HOST, "shop") is None


def test_localities_are_the_nodes_unless_a_pod_says_otherwise(snapshot):
    topology = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1", "topology.istio.io/subzone": "r"}
    objects = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": topology}},
        service(),
        pod("a", "10.0.0.1", spec={"nodeName": "n"}),
        pod("b", "10.0.0.2", spec={"nodeName": "n"}, labels={"istio-locality": "us.us-1"}),
        endpoint_slice(at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3", zone="eu-1"), at("10.0.0.4", nodeName="n"), at("10.0.0.5", zone="z")),
    ]
    found = [one.workload.locality for one in answering(snapshot(*objects), HOST)]
    assert found == ["eu/eu-1/r", "us/us-1", "eu/eu-1", "eu/eu-1/r", "/z"]


@pytest.mark.parametrize(
    ("wish", "annotation", "labels"),
    [
        ("PreferClose", "", 3),
        ("PreferSameZone", "", 3),
        ("PreferSameNode", "", 5),
        (None, "preferclose", 3),
        ("PreferSameNode", "PreferClose", 5),
        (None, "", 0),
    ],
)
def test_traffic_distribution_is_a_failover_priority(snapshot, wish, annotation, labels):
    annotations = {"networking.istio.io/traffic-distribution": annotation}
    locality = snapshot(service(trafficDistribution=wish, annotations=annotations)).service(HOST, "shop").locality
    assert len(locality.failover_priority if locality else ()) == labels


@pytest.mark.parametrize(
    ("wished", "own", "labels"),
    [("PreferSameNode", "", 5), ("PreferSameNode", "PreferClose", 3), ("PreferClose", "anything", 0), ("anything", "", 0)],
)
def test_a_namespace_wishes_for_its_services_that_say_nothing(snapshot, wished, own, labels):
    annotations = {"networking.istio.io/traffic-distribution": wished}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": annotations}}
    locality = snapshot(namespace, service(annotations={"networking.istio.io/traffic-distribution": own})).service(HOST, "shop").locality
    assert len(locality.failover_priority if locality else ()) == labels


def test_pods_are_named_by_what_made_them_unless_a_label_names_them(snapshot):
    made = snapshot(
        pod("web-5d6-x", "10.0.0.1", labels={"pod-template-hash": "5d6"}),
        pod("db-12", "10.0.0.2", labels={"statefulset.kubernetes.io/pod-name": "db-12"}),
        pod("job-1", "10.0.0.3"),
        pod("job-2", "10.0.0.4", labels={"service.istio.io/workload-name": "worker"}),
    )
    assert [one.name for one in made.workloads] == ["web", "db", "job-1", "worker"]


def alias(name, target):
    return thing("Service", name, spec={"type": "ExternalName", "externalName": target})


def test_aliases_lead_through_chains_and_not_in_circles(snapshot):
    found = snapshot(service(), alias("a", "b.shop.svc.cluster.local"), alias("b", HOST), alias("c", "c.shop.svc.cluster.local"))
    assert [one.host.partition(".")[0] for one in found.service(HOST, "shop").aliases] == ["a", "b"]
    assert found.service("a.shop.svc.cluster.local", "shop") is found.service(HOST, "shop")
    assert found.service("c.shop.svc.cluster.local", "shop") is None


def test_a_service_without_selector_has_members_by_address(snapshot):
    manual = service(selector=None)
    found = snapshot(manual, endpoint_slice(at("10.0.0.7")))
    assert [one.host for one in found.memberships.of("shop", {}, "10.0.0.7")] == [HOST]
    assert found.memberships.of("shop", {}, "10.0.0.8") == []


_ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
_FLAGS = st.sampled_from([True, False, None])
_CONDITIONS = st.fixed_dictionaries({"ready": _FLAGS, "serving": _FLAGS, "terminating": _FLAGS})
_ENDPOINTS = st.lists(st.builds(lambda address, conditions: at(address, conditions=conditions), _ADDRESSES, _CONDITIONS), max_size=6)


@settings(max_examples=60, deadline=None)
@given(first=_ENDPOINTS, second=_ENDPOINTS)
def test_what_is_listed_is_what_kubernetes_would_send_to(first, second):
    """Against the rule as the API tells it: ready unless it says no; of those that are not, what does not end is told as sick."""
    text = text_of(service(), endpoint_slice(*first), endpoint_slice(*second, name="web-2"))
    snapshot, _ = build(parse_text(text, "f").resources, (), 1)
    wanted = {}
    for one in (*first, *second):
        ready, terminating = one["conditions"]["ready"] is not False, one["conditions"]["terminating"]
        if ready or not terminating:
            wanted.setdefault(one["addresses"][0], Health.HEALTHY if ready else Health.UNHEALTHY)
    told = {one.workload.ip: one.workload.health for one in answering(snapshot, HOST)}
    assert told == wanted
