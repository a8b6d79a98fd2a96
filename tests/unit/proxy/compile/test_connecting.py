"""How a cluster's connections are made: source addresses, the order of addresses, original destinations."""

import pytest

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.upstream.config import Eyeballs, OriginalDst


def static(more):
    return f"{{name: c, type: STATIC, {more}}}"


def original(settings):
    return f"{{name: c, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, original_dst_lb_config: {settings}}}"


def bind(first, *others):
    extra = ", ".join(f"{{address: {{address: '{one}', port_value: 0}}}}" for one in others)
    return static(f"upstream_bind_config: {{source_address: {{address: '{first}', port_value: 0}}, extra_source_addresses: [{extra}]}}")


def test_source_addresses_may_be_of_both_families(parse):
    assert compile_cluster(parse("cluster", bind("127.0.0.6", "::6"))).bind_addresses == ("127.0.0.6", "::6")


@pytest.mark.parametrize("others", [("127.0.0.7",), ("::6", "::7")])
def test_a_family_has_one_source_address(parse, problems, others):
    assert "upstream_bind_config.extra_source_addresses" in problems(compile_cluster, parse("cluster", bind("127.0.0.6", *others)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{}", Eyeballs()),
        ("{happy_eyeballs_config: {first_address_family_version: V4, first_address_family_count: 2}}", Eyeballs(family=4, count=2)),
        ("{happy_eyeballs_config: {first_address_family_version: V6}}", Eyeballs(family=6)),
    ],
)
def test_the_order_of_families_is_read(parse, settings, expected):
    assert compile_cluster(parse("cluster", static(f"upstream_connection_options: {settings}"))).eyeballs == expected


def test_local_interfaces_are_not_told(parse, problems):
    text = static("upstream_connection_options: {set_local_interface_name_on_upstream_connections: true}")
    field = "upstream_connection_options.set_local_interface_name_on_upstream_connections"
    assert field in problems(compile_cluster, parse("cluster", text))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{}", OriginalDst()),
        ("{use_http_header: true}", OriginalDst(header=b"x-envoy-original-dst-host")),
        ("{use_http_header: true, http_header_name: X-To}", OriginalDst(header=b"x-to")),
        ("{upstream_port_override: 8080}", OriginalDst(port=8080)),
    ],
)
def test_where_the_destination_is_learned_is_read(parse, settings, expected):
    assert compile_cluster(parse("cluster", original(settings))).original_dst == expected


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ("{metadata_key: {key: x}}", "original_dst_lb_config.metadata_key"),
        ("{http_header_name: x-to}", "original_dst_lb_config.http_header_name"),
        ("{upstream_port_override: 70000}", "original_dst_lb_config.upstream_port_override"),
    ],
)
def test_what_cannot_say_the_destination_is_refused(parse, problems, settings, field):
    assert field in problems(compile_cluster, parse("cluster", original(settings)))


def several(more):
    first = "{socket_address: {address: 10.0.0.1, port_value: 80}}"
    other = f"{{socket_address: {{address: {more}, port_value: 81}}}}"
    endpoint = f"{{address: {first}, additional_addresses: [{{address: {other}}}]}}"
    return f"{{cluster_name: c, endpoints: [{{lb_endpoints: [{{endpoint: {endpoint}}}]}}]}}"


def test_an_endpoint_may_have_several_addresses(parse):
    (endpoint,) = compile_assignment(parse("endpoints", several("'fd00::1'"))).endpoints
    assert (endpoint.host, endpoint.additional_addresses) == ("10.0.0.1", (("fd00::1", 81),))


def test_additional_addresses_are_ips(parse, problems):
    field = "endpoints[0].lb_endpoints[0].endpoint.additional_addresses[0].address"
    assert field in problems(compile_assignment, parse("endpoints", several("a.test")))
