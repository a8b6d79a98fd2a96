"""Meshes in a few words: objects by kind, name and spec, and what the rules say of them."""

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS, KUBERNETES_KINDS
from pymesh_control.analyze.subject import Subject
from pymesh_control.model import support
from pymesh_control.model.assembly import build


def thing(kind, name, spec, namespace="default", annotations="{}"):
    """One object as YAML."""
    known = None if kind == "ConfigMap" else (KINDS | KUBERNETES_KINDS)[kind]
    version, word = (known.api_versions[0], known.written) if known else ("v1", kind)
    head = f"---\napiVersion: {version}\nkind: {word}\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}\n"
    return head + (spec if kind == "ConfigMap" else f"spec: {spec}\n")


def subject(text, workloads=(), credentials=None):
    """What the rules look at, of a text in which nothing is refused."""
    parsed = parse_text(text, "mesh.yaml")
    assert not [str(one) for one in parsed.problems if one.severity == "error"]
    assert not [str(one) for resource in parsed.resources for one in support.refusals(resource)]
    snapshot, _ = build(parsed.resources, workloads, 1, credentials or {})
    return Subject(parsed.resources, snapshot)


def entry(name, rest, namespace="default"):
    return thing("ServiceEntry", name, f"{{resolution: STATIC, {rest}}}", namespace)


def route(rest, name="a", head="hosts: [reviews]"):
    return thing("VirtualService", name, f"{{{head}, http: [{{{rest}}}]}}")


def to(text, rest=""):
    return route(f"route: [{{destination: {{{text}}}{rest}}}]")


def policy(text, name="a", host="reviews"):
    return thing("DestinationRule", name, f"{{host: {host}, trafficPolicy: {{{text}}}}}")


def gateway(servers, name="edge", selector="{}"):
    return thing("Gateway", name, f"{{selector: {selector}, servers: [{servers}]}}")


def server(port=80, host="a.example.com", protocol="HTTP", rest=""):
    return f"{{port: {{number: {port}, name: p{port}-{protocol.lower()}, protocol: {protocol}}}, hosts: ['{host}']{rest}}}"


def allow(rules):
    return thing("AuthorizationPolicy", "a", f"{{rules: [{rules}]}}")


def mtls(mode, name="p", selector=""):
    return thing("PeerAuthentication", name, f"{{mtls: {{mode: {mode}}}{selector}}}")


def telemetry(name, rest="{}"):
    return thing("Telemetry", name, rest)


def kube(port, rest="selector: {app: web}", name="a"):
    return thing("Service", name, f"{{{rest}, ports: [{port}]}}")


def http_filter(name, patch, beside="x", priority=0):
    manager = "envoy.filters.network.http_connection_manager"
    match = f"{{listener: {{filterChain: {{filter: {{name: {manager}, subFilter: {{name: {beside}}}}}}}}}}}"
    change = f"{{applyTo: HTTP_FILTER, match: {match}, patch: {{operation: {patch}}}}}"
    return thing("EnvoyFilter", name, f"{{priority: {priority}, configPatches: [{change}]}}")


def new_cluster(name, cluster, namespace="default", selector="{}", apply_to="CLUSTER"):
    value = f"{{name: '{cluster}'}}"
    change = f"{{applyTo: {apply_to}, patch: {{operation: ADD, value: {value}}}}}"
    return thing("EnvoyFilter", name, f"{{workloadSelector: {{labels: {selector}}}, configPatches: [{change}]}}", namespace)
