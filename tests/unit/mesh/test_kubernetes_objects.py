"""Kubernetes' own objects are read for what the mesh needs of them, and not judged beyond it but for what no API server takes."""

import json

import pytest

from pymesh.api import parse_text
from pymesh.api.kinds import KUBERNETES_KINDS

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, someday: [1]}
spec:
  sessionAffinity: ClientIP
  clusterIP: None
  ports: [{port: 80, targetPort: http, nodePort: 30080}]
status: {loadBalancer: {}}
unheardOf: true
"""


def read(text):
    parsed = parse_text(text, "f.yaml")
    return parsed.resources, [str(problem) for problem in parsed.problems]


def test_fields_that_are_not_read_are_no_mistakes():
    ((resource,), problems) = read(SERVICE)
    assert problems == []
    assert (resource.spec.spec.cluster_ip, resource.spec.spec.ports[0].target_port) == ("None", "http")


def test_what_is_read_must_have_its_type():
    resources, problems = read(SERVICE.replace("port: 80,", "port: web,"))
    assert resources == []
    assert problems == ['f.yaml:7:18: error: Service web: spec.ports[0].port: expected a whole number, found the string "web"']


def test_a_place_is_that_of_the_whole_object():
    ((resource,), _) = read(SERVICE)
    assert resource.position_of(*resource.root, "spec", "ports", 0).line == 7


def test_nodes_and_namespaces_stand_in_no_namespace():
    ((node, shop), problems) = read(
        "apiVersion: v1\nkind: Node\nmetadata: {name: a.b}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    )
    assert problems == []
    assert [one.namespace for one in (node, shop)] == ["", ""]


def test_a_service_of_another_group_is_not_ours():
    _, (problem,) = read("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n")
    assert problem == "f.yaml:1:1: info: Service a: is no configuration of a mesh, and is left alone"


@pytest.mark.parametrize(
    ("kind", "api_version"),
    [
        ("Deployment", "apps/v1"), ("Job", "batch/v1"), ("ServiceAccount", "v1"), ("ConfigMap", "v1"),
        ("NetworkPolicy", "networking.k8s.io/v1"), ("Certificate", "cert-manager.io/v1"),
        ("Kustomization", "kustomize.config.k8s.io/v1beta1"),
        ("CustomResourceDefinition", "apiextensions.k8s.io/v1"), ("IstioOperator", "install.istio.io/v1alpha1"),
        ("VirtualService", "appmesh.k8s.aws/v1beta2"), ("Gateway", "gateway.acme.example/v1"),
    ],
)  # fmt: skip
def test_objects_that_are_nothing_to_a_mesh_are_left_alone(kind, api_version):
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{anything: [1]}}\n---\n"
    resources, problems = read(text + SERVICE)
    assert [one.kind for one in resources] == ["Service"]
    assert problems == [f"f.yaml:1:1: info: {kind} a: is no configuration of a mesh, and is left alone"]


@pytest.mark.parametrize(
    ("kind", "api_version", "sentence"),
    [
        ("VirtualServce", "networking.istio.io/v1", 'not a kind of networking.istio.io (did you mean "VirtualService"?)'),
        ("VirtualService", "networking.isto.io/v1", "VirtualService of networking.isto.io/v1 is not mesh configuration"),
        ("VirtualService", "v1", "VirtualService is not a kind of v1"),
        ("VirtualService", "networking/v1", "VirtualService of networking/v1 is not mesh configuration"),
        ("Gateway", "network.istio.io/v1", "Gateway belongs to networking.istio.io and gateway.networking.k8s.io, not to network.istio.io"),
        ("HTTPRoute", "gateway.networking.k8s.i/v1", "HTTPRoute of gateway.networking.k8s.i/v1 is not mesh configuration"),
        ("Servce", "v1", 'Servce is not a kind of v1 (did you mean "Service"?)'),
        ("EndpointSlice", "discovery.k8s.io/v1beta1", "discovery.k8s.io/v1beta1 is not served; use discovery.k8s.io/v1"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_a_mistake(kind, api_version, sentence):
    resources, (problem,) = read(f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n")
    assert resources == []
    assert ": error: " in problem
    assert sentence in problem


@pytest.mark.parametrize(
    ("kind", "api_version", "line"),
    [
        ("Ingress", "networking.k8s.io/v1", "warning: Ingress a: Istio reads it and this mesh does not: what it routes is not served"),
        (
            "UDPRoute",
            "gateway.networking.k8s.io/v1",
            "warning: UDPRoute a: Istio reads it and this mesh does not: no proxy passes UDP on",
        ),
        ("Secret", "v1", "info: Secret a: is left alone: credentials come from the folder of --secrets"),
    ],
)
def test_what_istio_reads_and_we_do_not_is_told(kind, api_version, line):
    assert read(f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n") == ([], [f"f.yaml:1:1: {line}"])


def test_a_mesh_configuration_under_another_name_is_told():
    _, (problem,) = read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-canary}\ndata: {mesh: 'trustDomain: a'}\n")
    assert problem.startswith("f.yaml:3:18: warning: ConfigMap istio-canary: metadata.name: is not read: the mesh configuration is")


def test_names_that_no_host_can_be_made_of_are_refused():
    resources, problems = read(SERVICE.replace("name: web", "name: web_1"))
    assert resources == []
    assert "not a valid name" in problems[0]


def test_what_is_being_deleted_is_told():
    ((resource,), _) = read("apiVersion: v1\nkind: Pod\nmetadata: {name: a, deletionTimestamp: 2024-01-01T00:00:00Z}\nspec: {}\n")
    assert resource.is_deleting


@pytest.mark.parametrize(
    ("kind", "body", "place"),
    [
        ("Service", {"spec": {"clusterIP": "x"}}, "spec.clusterIP"),
        ("Service", {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "x"]}}, "spec.clusterIPs[1]"),
        ("EndpointSlice", {"addressType": "IPv4", "endpoints": [{"addresses": ["x"]}]}, "endpoints[0].addresses[0]"),
        ("Endpoints", {"subsets": [{"notReadyAddresses": [{"ip": "x"}]}]}, "subsets[0].notReadyAddresses[0].ip"),
        ("Pod", {"status": {"podIP": "x"}}, "status.podIP"),
    ],
)
def test_addresses_that_are_none_are_refused(kind, body, place):
    document = {"apiVersion": KUBERNETES_KINDS[kind].api_versions[0], "kind": kind, "metadata": {"name": "a"}, **body}
    resources, (problem,) = read(json.dumps(document))
    assert resources == []
    assert problem.endswith(f'error: {kind} a: {place}: "x" is not an IP address')


@pytest.mark.parametrize(
    "spec",
    [
        "{ports: [{port: 80}]}",
        "{ports: [{port: 53, name: a}, {port: 53, name: b, protocol: UDP}]}",
        "{type: NodePort, ports: [{port: 80, name: http, nodePort: 30080, targetPort: web, appProtocol: kubernetes.io/h2c}]}",
        "{clusterIP: None, selector: {a: b}}",
        "{type: ExternalName, externalName: a.example.com.}",
        "{externalIPs: [192.0.2.1, 'fd00::1'], ports: [{port: 80}]}",
        "{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 9}}, ports: [{port: 80}]}",
        "{ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4], clusterIPs: ['fd00::1', 10.0.0.1], ports: [{port: 80}]}",
        "{selector: null, ports: null}",
    ],
)
def test_services_that_an_api_server_takes_are_taken(spec):
    _, problems = read(f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}")
    assert problems == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{ports: [{port: 80, name: a}, {port: 81}]}", "spec.ports[1]: each of several ports needs a name"),
        ("{ports: [{port: 80, name: a}, {port: 81, name: a}]}", 'spec.ports[1].name: the port name "a" is used twice'),
        ("{ports: [{port: 80, name: a}, {port: 80, name: b, protocol: TCP}]}", "spec.ports[1].port: the port 80 is listed twice"),
        ("{ports: [{port: 80, name: Http}]}", 'spec.ports[0].name: the port name "Http" must be in small letters'),
        (
            "{ports: [{port: 80, protocol: HTTP}]}",
            'spec.ports[0].protocol: "HTTP" is not one of TCP, UDP, SCTP; what is spoken over it says appProtocol',
        ),
        ("{type: Internal}", 'spec.type: "Internal" is not one of ClusterIP, NodePort, LoadBalancer, ExternalName'),
        ("{type: ExternalName}", "spec: type ExternalName needs a name"),
        (
            "{type: ExternalName, externalName: a_b}",
            'spec.externalName: "a_b" is not a valid name (lower-case letters, digits, "-" and ".", at most 253)',
        ),
    ],
)
def test_services_that_no_api_server_takes_are_refused(spec, expected):
    _, (problem,) = read(f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}")
    assert problem.endswith(f"error: Service a: {expected}")


def test_addresses_of_a_slice_are_of_its_family():
    text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: %s\nendpoints: [{addresses: [%s]}]"
    assert read(text % ("IPv6", "'fd00::1'"))[1] == []
    _, (problem,) = read(text % ("IPv4", "'fd00::1'"))
    assert problem.endswith('EndpointSlice a: endpoints[0].addresses[0]: "fd00::1" is no IPv4 address')
