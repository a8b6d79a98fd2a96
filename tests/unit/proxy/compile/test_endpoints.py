import pytest

from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.upstream.config import EndpointConfig, Health

ISTIO = """
cluster_name: outbound|80||a
endpoints:
- locality: {region: r, zone: z, sub_zone: s}
  load_balancing_weight: 3
  lb_endpoints:
  - endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}, hostname: pod-1}
    health_status: UNHEALTHY
    load_balancing_weight: 3
    metadata:
      filter_metadata:
        envoy.transport_socket_match: {tlsMode: istio}
        istio: {workload: "a-v1;default;a;v1;Kubernetes"}
- lb_endpoints:
  - endpoint: {address: {pipe: {path: /run/app.sock}}}
policy: {overprovisioning_factor: 200, drop_overloads: [{category: x, drop_percentage: {numerator: 5, denominator: TEN_THOUSAND}}]}
"""


def test_endpoints_carry_locality_health_weight_and_metadata(parse):
    assignment = compile_assignment(parse("endpoints", ISTIO))
    first, second = assignment.endpoints
    assert first == EndpointConfig(
        host="10.0.0.1",
        port=80,
        weight=3,
        health=Health.UNHEALTHY,
        region="r",
        zone="z",
        sub_zone="s",
        hostname="pod-1",
        transport_match=(("tlsMode", "istio"),),
        workload="a-v1;default;a;v1;Kubernetes",
    )
    assert second == EndpointConfig(host="/run/app.sock", port=0)
    assert assignment.drop_percent == 0.05


def test_an_assignment_may_be_empty(parse):
    assert compile_assignment(parse("endpoints", "{cluster_name: a}")).endpoints == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{}", "cluster_name"),
        ("{cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {}}]}]}", "endpoints[0].lb_endpoints[0].endpoint.address"),
        ("{cluster_name: a, endpoints: [{lb_endpoints: [{endpoint_name: x}]}]}", "endpoints[0].lb_endpoints[0].endpoint_name"),
        ("{cluster_name: a, endpoints: [{priority: 1}]}", "endpoints[0].priority"),
        ("{cluster_name: a, policy: {endpoint_stale_after: 5s}}", "policy.endpoint_stale_after"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, problems, text, field):
    assert field in problems(compile_assignment, parse("endpoints", text))
