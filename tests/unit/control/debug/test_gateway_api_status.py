"""What can be asked about objects of the Gateway API: whether their parents take them, what shadows them, what a service owes to them."""

from pymesh.api import parse_text
from pymesh_control.debug.described import servicez
from pymesh_control.debug.status import statusz
from pymesh_control.metrics import Metrics
from pymesh_control.store.catalogue import Contents
from pymesh_control.world import World

MESH = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec: {hosts: [web.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
ROUTE = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec: {parentRefs: [%s], rules: [{backendRefs: [{name: web, port: 80}]}]}
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
"""
IN_MESH = "{group: '', kind: Service, name: web}"


def world(text):
    made = World("cluster.local", Metrics())
    made.rebuild(Contents(tuple(parse_text(MESH + text, "f").resources)), [])
    return made


def told(text):
    return {row["name"]: row for row in statusz(world(text), [], [])}


def test_a_route_is_accepted_once_all_of_its_parents_take_it():
    rows = told(ROUTE % ("good", "{name: edge}") + ROUTE % ("half", "{name: edge}, {name: gone}"))
    assert [rows[name]["accepted"] for name in ("edge", "good", "half")] == [True, True, False]
    assert "no Gateway default/gone is served here" in rows["half"]["problems"][0]


def test_a_virtual_service_shadows_routes_and_these_do_not_shadow_one_another():
    rows = told(ROUTE % ("a", IN_MESH) + ROUTE % ("b", IN_MESH))
    assert [rows[name]["shadowed_by"] for name in "ab"] == [[], []]
    rows = told(ROUTE % ("a", IN_MESH) + RULE)
    assert (rows["a"]["shadowed_by"], rows["rule"]["shadowed_by"]) == (["VirtualService default/rule"], [])


def test_a_service_names_the_routes_and_the_gateway_that_lead_to_it():
    found = servicez(world(ROUTE % ("a", IN_MESH) + ROUTE % ("b", f"{IN_MESH}, {{name: edge}}")).snapshot, "web", "default")
    assert found["virtual_service"] == "HTTPRoute default/a, HTTPRoute default/b"
    (exposed,) = found["exposed_by"]
    assert (exposed["gateway"], exposed["port"], exposed["virtual_service"]) == ("default/edge", 80, "HTTPRoute default/b")
