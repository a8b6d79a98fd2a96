"""What Envoy's protobufs say of their own fields is checked to the letter, in every message of a resource."""

import pytest

from pymesh_proxy.compile import constraints
from pymesh_proxy.errors import Problem


@pytest.mark.parametrize(
    ("kind", "text", "path", "message"),
    [
        ("cluster", "{}", "name", "this field is required"),
        ("cluster", "{name: a, connect_timeout: 0s}", "connect_timeout", "0 must be greater than 0"),
        ("cluster", "{name: a, lb_policy: 77}", "lb_policy", "77 is none of"),
        (
            "cluster",
            "{name: a, least_request_lb_config: {choice_count: 1}}",
            "least_request_lb_config.choice_count",
            "1 must be at least 2",
        ),
        ("routes", "{virtual_hosts: [{name: v}]}", "virtual_hosts[0].domains", "at least 1 needed, 0 given"),
        (
            "routes",
            "{virtual_hosts: [{name: v, domains: ['*'], routes: [{}]}]}",
            "virtual_hosts[0].routes[0].match",
            "this field is required",
        ),
        ("routes", '{request_headers_to_remove: ["a\\nb"]}', "request_headers_to_remove[0]", "has a line break"),
        ("listener", "{address: {}}", "address.address", "one of socket_address or pipe"),
        ("endpoints", "{cluster_name: a, endpoints: [{priority: 129}]}", "endpoints[0].priority", "129 must be at most 128"),
    ],
)
def test_a_violated_constraint_is_reported_at_its_path(parse, kind, text, path, message):
    problems: list[Problem] = []
    constraints.check(parse(kind, text), "", problems)
    found = {problem.path: problem.message for problem in problems}
    assert message in found[path]


def test_a_message_that_keeps_its_constraints_has_no_problems(parse):
    problems: list[Problem] = []
    constraints.check(parse("cluster", "{name: a, type: STATIC, connect_timeout: 1s}"), "", problems)
    assert problems == []
