"""What no proxy would honour is refused at its place, and nothing else suffers."""

import pytest

from pymesh.api.kinds import KINDS, KUBERNETES_KINDS
from pymesh.api.models.meshconfig import MeshConfig
from pymesh_control.model.support import FIELDS, VALUES

ROUTE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s}
spec:
  hosts: [%s.example.com]
  http:
  - route: [{destination: {host: a.example.com}}]
"""


def errors(problems):
    return [problem for problem in problems if problem.severity == "error"]


GATEWAY = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bad}
spec:
  servers:
  - port: {number: 0, name: http, protocol: HTTP}
    hosts: [a.example.com]
    bind: unix:///run/edge
"""


def test_a_refused_resource_is_left_out_and_the_others_stand(built):
    snapshot, problems = built(ROUTE % ("good", "good") + GATEWAY)
    assert ([one.name for one in snapshot.virtual_services], snapshot.gateways) == (["good"], ())
    assert [str(problem) for problem in errors(problems)] == [
        "mesh.yaml:19:5: error: Gateway default/bad: servers[0].bind: unix:///run/edge is not supported"
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("Gateway", "{servers: [{port: {number: 1, name: m, protocol: UDP}, hosts: [a.com]}]}", "servers[0].port.protocol: UDP"),
        (
            "Gateway",
            "{servers: [{port: {number: 1, name: s, protocol: HTTPS}, hosts: [a.com],"
            " tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /a, insecureSkipVerify: true}}]}",
            "servers[0].tls.insecureSkipVerify",
        ),
        (
            "VirtualService",
            "{hosts: ['*a.com'], tls: [{match: [{sniHosts: ['*a.com']}], route: [{destination: {host: a.com}}]}]}",
            "tls[0].match[0].sniHosts[0]: *a.com",
        ),
        ("Sidecar", "{egress: [{port: {number: 80, protocol: HTTP_PROXY}, hosts: ['*/*']}]}", "egress[0].port.protocol: HTTP_PROXY"),
        (
            "ServiceEntry",
            "{hosts: ['*.a.com'], resolution: DYNAMIC_DNS, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]}",
            "ports[0].targetPort",
        ),
    ],
)
def test_what_is_not_supported_is_named(built, kind, spec, field):
    _, problems = built(f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}")
    assert any(field in problem.message for problem in errors(problems)), problems


def test_a_claim_match_is_refused(built):
    match = '    match: [{headers: {"@request.auth.claims.group": {exact: admin}}}]\n'
    edge = (ROUTE % ("bad", "bad") + match).replace("  http:", "  gateways: [edge]\n  http:")
    assert "claims" in errors(built(edge)[1])[0].message


@pytest.mark.parametrize("tls", ["{mode: ISTIO_MUTUAL}", "{mode: SIMPLE, credentialName: c}"])
def test_unknown_hosts_get_no_certificates_of_the_mesh(built, tls):
    settings = f"outboundTrafficPolicy: {{mode: ALLOW_ANY_DYNAMIC_DNS, tls: {tls}}}"
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |\n    {settings}\n"
    assert "outboundTrafficPolicy.tls" in errors(built(text)[1])[0].message


def test_a_json_log_format_that_is_no_object_is_refused(built):
    settings = "{accessLogFile: /dev/stdout, accessLogEncoding: JSON, accessLogFormat: '%START_TIME%'}"
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |\n    {settings}\n"
    snapshot, problems = built(text)
    assert "accessLogFormat" in errors(problems)[0].message
    assert snapshot.mesh.logs == ()


@pytest.mark.parametrize("kind", sorted({*FIELDS, *VALUES}))
def test_every_refused_field_exists_in_its_model(kind):
    for name in (*FIELDS.get(kind, ()), *VALUES.get(kind, {})):
        known = KINDS | KUBERNETES_KINDS
        model = known[kind].model if kind in known else MeshConfig
        for part in name.removesuffix(".*").replace("[]", "").split("."):
            aliases = {field.serialization_alias or key: field for key, field in model.model_fields.items()}
            assert part in aliases, f"{name}: {part}"
            model = _model_in(aliases[part].annotation)


def _model_in(annotation):
    """The model inside `X | None` or `list[X]`."""
    inner = [one for one in getattr(annotation, "__args__", (annotation,)) if hasattr(one, "model_fields")]
    return inner[0] if inner else annotation
