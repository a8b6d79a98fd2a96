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
        locality_weight=3,
        hostname="pod-1",
        transport_match=(("tlsMode", "istio"),),
        workload="a-v1;default;a;v1;Kubernetes",
    )
    assert second == EndpointConfig(host="/run/app.sock", port=0)
    assert (assignment.drop_percent, assignment.overprovisioning_factor) == (0.05, 200)


def address(last):
    return f"{{endpoint: {{address: {{socket_address: {{address: 10.0.0.{last}, port_value: 80}}}}}}}}"


def test_priorities_and_the_policy_are_read(parse):
    text = f"""
cluster_name: a
endpoints:
- {{priority: 2, lb_endpoints: [{address(1)}]}}
- {{lb_endpoints: [{address(2)}]}}
policy: {{endpoint_stale_after: 5s, weighted_priority_health: true}}
"""
    assignment = compile_assignment(parse("endpoints", text))
    assert [(endpoint.host, endpoint.priority) for endpoint in assignment.endpoints] == [("10.0.0.1", 2), ("10.0.0.2", 0)]
    assert (assignment.stale_after, assignment.weighted_priority_health, assignment.overprovisioning_factor) == (5.0, True, 140)


def test_a_locality_has_the_weight_that_its_last_group_gives_it(parse):
    text = f"""
cluster_name: a
endpoints:
- {{locality: {{zone: z}}, load_balancing_weight: 3, lb_endpoints: [{address(1)}]}}
- {{locality: {{zone: z}}, load_balancing_weight: 5, lb_endpoints: [{address(2)}]}}
- {{locality: {{zone: z}}, load_balancing_weight: 7, priority: 1, lb_endpoints: [{address(3)}]}}
- {{locality: {{zone: y}}, lb_endpoints: [{address(4)}]}}
- {{load_balancing_weight: 9, lb_endpoints: [{address(5)}]}}
"""
    assert [endpoint.locality_weight for endpoint in compile_assignment(parse("endpoints", text)).endpoints] == [5, 5, 7, 0, 0]


def test_of_an_address_that_comes_twice_the_first_counts(parse):
    groups = f"{{lb_endpoints: [{address(1)}]}}, {{priority: 1, lb_endpoints: [{address(2)}, {address(1)}]}}"
    text = f"{{cluster_name: a, endpoints: [{groups}]}}"
    assignment = compile_assignment(parse("endpoints", text))
    assert [(endpoint.host, endpoint.priority) for endpoint in assignment.endpoints] == [("10.0.0.1", 0), ("10.0.0.2", 1)]


def test_an_assignment_may_be_empty(parse):
    assert compile_assignment(parse("endpoints", "{cluster_name: a}")).endpoints == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{}", "cluster_name"),
        ("{cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {}}]}]}", "endpoints[0].lb_endpoints[0].endpoint.address"),
        ("{cluster_name: a, endpoints: [{lb_endpoints: [{endpoint_name: x}]}]}", "endpoints[0].lb_endpoints[0].endpoint_name"),
        ("{cluster_name: a, endpoints: [{priority: 129}]}", "endpoints[0].priority"),
        ("{cluster_name: a, endpoints: [{proximity: 1}]}", "endpoints[0].proximity"),
        ("{cluster_name: a, policy: {overprovisioning_factor: 0}}", "policy.overprovisioning_factor"),
        ("{cluster_name: a, policy: {drop_overloads: [{category: x}, {category: y}]}}", "policy.drop_overloads"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, problems, text, field):
    assert field in problems(compile_assignment, parse("endpoints", text))
