"""Ports that say GRPC-WEB: proxies translate what browsers send, and speak HTTP/2 to the services."""

import pytest

from pymesh.xds import proto, types

WEB = "envoy.filters.http.grpc_web"
A = "a.default.svc.cluster.local"


def entry(name, ports):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: {ports}
  workloadSelector: {{labels: {{app: {name}}}}}
"""


def gateway(protocol):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec: {{selector: {{app: edge}}, servers: [{{port: {{number: 80, name: web, protocol: {protocol}}}, hosts: ["*"]}}]}}
"""


def filters(listener):
    """The names of the HTTP filters of each chain that has any."""
    for chain in listener.filter_chains:
        last = proto.unpack(chain.filters[-1].typed_config)
        if isinstance(last, proto.hcm.HttpConnectionManager):
            yield [one.name for one in last.http_filters]


@pytest.mark.parametrize(("port", "expected"), [
    ("{number: 80, name: grpc-web}", True),
    ("{number: 80, name: a, protocol: GRPC-WEB}", True),
    ("{number: 80, name: grpc}", False),
    ("{number: 80, name: http}", False),
])  # fmt: skip
def test_sidecars_translate_both_ways(mesh, view, port, expected):
    made = mesh(entry("a", f"[{port}]") + entry("b", "[{number: 80, name: http}]"))
    listeners = made.listeners(view(LABELS={"app": "a"}))
    outbound = list(filters(listeners["0.0.0.0_80"]))
    assert [WEB in names for names in outbound] == [expected]
    inbound = [names for name, chains in _inbound(listeners["virtualInbound"]) for names in chains if name == "0.0.0.0_80"]
    assert inbound
    assert all((WEB in names) is expected for names in inbound)
    if expected:
        assert outbound[0].index(WEB) < outbound[0].index("envoy.filters.http.fault")


def _inbound(listener):
    for chain in listener.filter_chains:
        single = proto.listener.Listener(filter_chains=[chain])
        yield chain.name, list(filters(single))


@pytest.mark.parametrize(("protocol", "expected"), [("GRPC-WEB", True), ("HTTP", False)])
def test_a_gateway_translates_on_a_port_that_says_so(mesh, view, protocol, expected):
    listener = mesh(gateway(protocol)).listeners(view("router", LABELS={"app": "edge"}))["0.0.0.0_80"]
    assert [WEB in names for names in filters(listener)] == [expected]


def test_services_get_grpc_over_http2(mesh, view):
    made = mesh(entry("a", "[{number: 80, name: grpc-web}]")).sees(view(), types.CLUSTER)[f"outbound|80||{A}"]
    options = proto.unpack(made.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"])
    assert options.explicit_http_config.HasField("http2_protocol_options")
