"""Merging is protobuf's, but for durations, and for lists where that is asked for."""

import pytest

from pymesh.xds import proto
from pymesh_control.patch.merging import merge, merge_any, merge_filter

CLUSTER = proto.cluster.Cluster


def merged(target, source, **how):
    merge(target, source, **how)
    return target


def test_what_is_not_said_stays():
    assert merged(CLUSTER(name="a", alt_stat_name="s"), CLUSTER(name="b")) == CLUSTER(name="b", alt_stat_name="s")


def test_a_duration_is_replaced_whole():
    assert merged(
        CLUSTER(connect_timeout=proto.duration(1.5)), CLUSTER(connect_timeout=proto.duration(0))
    ).connect_timeout == proto.duration(0)


@pytest.mark.parametrize(("replace", "expected"), [(False, ["a", "b"]), (True, ["b"])])
def test_lists_grow_or_are_replaced_at_every_depth(replace, expected):
    made = [proto.endpoint.ClusterLoadAssignment(endpoints=[{"locality": {"region": name}}]) for name in "ab"]
    found = merged(CLUSTER(load_assignment=made[0]), CLUSTER(load_assignment=made[1]), replace_lists=replace)
    assert [one.locality.region for one in found.load_assignment.endpoints] == expected


def test_entries_of_maps_are_replaced():
    first, second = proto.base.Metadata(), proto.base.Metadata()
    for key, metadata in (("a", first), ("b", second)):
        metadata.filter_metadata["x"][key] = "1"
        metadata.filter_metadata[key].SetInParent()
    merge(first, second)
    assert {key: dict(value) for key, value in first.filter_metadata.items()} == {"x": {"b": "1"}, "a": {}, "b": {}}


def test_a_choice_is_made_anew():
    first = proto.route_components.Route(route={"cluster": "a"})
    merge(first, proto.route_components.Route(redirect={"host_redirect": "b"}))
    assert first.WhichOneof("action") == "redirect"


def test_an_empty_message_is_set():
    first = CLUSTER()
    merge(first, CLUSTER(upstream_connection_options={"tcp_keepalive": {}}))
    assert first.upstream_connection_options.HasField("tcp_keepalive")


def test_typed_configurations_are_merged_inside():
    made = proto.pack(proto.tcp_proxy.TcpProxy(stat_prefix="a", cluster="c"))
    merge_any(made, proto.pack(proto.tcp_proxy.TcpProxy(stat_prefix="b")))
    assert proto.unpack(made) == proto.tcp_proxy.TcpProxy(stat_prefix="b", cluster="c")


def test_a_configuration_of_another_type_changes_nothing():
    made = proto.pack(proto.tcp_proxy.TcpProxy(stat_prefix="a"))
    merge_any(made, proto.pack(proto.router.Router()))
    assert proto.unpack(made).stat_prefix == "a"


def test_a_filter_is_renamed_and_keeps_its_configuration():
    made = proto.hcm.HttpFilter(name="a", typed_config=proto.pack(proto.router.Router(dynamic_stats={"value": True})))
    merge_filter(made, proto.hcm.HttpFilter(name="b"))
    assert (made.name, proto.unpack(made.typed_config).dynamic_stats.value) == ("b", True)


def test_a_filter_without_configuration_stays():
    made = proto.hcm.HttpFilter(name="a")
    merge_filter(made, proto.hcm.HttpFilter(name="b"))
    assert made.name == "a"
