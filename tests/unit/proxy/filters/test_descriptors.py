"""`rate_limits`: what actions make of a request, and whose rules count."""

import pytest

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.filters.descriptors import IGNORE, INCLUDE, OVERRIDE, RateLimits, Rule, describe, of_route

from .conftest import exchange, head, table_of

REQUEST = head(path=b"/a?name=J%20D&empty=&name=2", x_user="one")


def described(action, *, remote="198.51.100.7:4711", request=REQUEST, **rule):
    """The entries that one action makes."""
    route = {"route": {"cluster": "up", "rate_limits": [{"actions": [action], **rule}]}, "metadata": METADATA}
    matched = table_of(route).match(request, 0)
    facts = {"route": matched, "cluster_name": "up", "remote_address": remote}
    found = describe(of_route(exchange(request, **facts), OVERRIDE), 0, exchange(request, **facts), "own")
    return [one.entries for one in found]


EXTENSION = {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}
METADATA = {"filter_metadata": {"space": {"a": {"b": "deep"}, "top": "flat", "number": 7}}}


def key(**fields):
    return {"metadata": {"descriptor_key": "m", "source": "ROUTE_ENTRY", **fields}}


def at(*path):
    return {"metadata_key": {"key": path[0], "path": [{"key": segment} for segment in path[1:]]}}


@pytest.mark.parametrize(
    ("action", "entry"),
    [
        ({"source_cluster": {}}, ("source_cluster", "own")),
        ({"destination_cluster": {}}, ("destination_cluster", "up")),
        ({"request_headers": {"header_name": "X-User", "descriptor_key": "u"}}, ("u", "one")),
        ({"request_headers": {"header_name": ":path", "descriptor_key": "p"}}, ("p", "/a?name=J%20D&empty=&name=2")),
        ({"request_headers": {"header_name": "x-none", "descriptor_key": "u"}}, None),
        ({"query_parameters": {"query_parameter_name": "name", "descriptor_key": "q"}}, ("q", "J D")),
        ({"query_parameters": {"query_parameter_name": "none", "descriptor_key": "q"}}, None),
        ({"remote_address": {}}, ("remote_address", "198.51.100.7")),
        ({"masked_remote_address": {}}, ("masked_remote_address", "198.51.100.7/32")),
        ({"masked_remote_address": {"v4_prefix_mask_len": 20}}, ("masked_remote_address", "198.51.96.0/20")),
        ({"generic_key": {"descriptor_value": "v"}}, ("generic_key", "v")),
        ({"generic_key": {"descriptor_value": "v", "descriptor_key": "k"}}, ("k", "v")),
        ({"header_value_match": {"descriptor_value": "v", "headers": [{"name": "x-user"}]}}, ("header_match", "v")),
        ({"header_value_match": {"descriptor_value": "v", "headers": [{"name": "x-none"}]}}, None),
        ({"header_value_match": {"descriptor_value": "v", "expect_match": False, "headers": [{"name": "x-none"}]}}, ("header_match", "v")),
        (
            {"query_parameter_value_match": {"descriptor_value": "v", "query_parameters": [{"name": "empty", "present_match": True}]}},
            ("query_match", "v"),
        ),
        (key(**at("space", "a", "b")), ("m", "deep")),
        (key(**at("space", "top")), ("m", "flat")),
        (key(**at("space", "none", "b"), default_value="d"), ("m", "d")),
        (key(**at("space", "number")), None),
        (key(**at("elsewhere", "a")), None),
    ],
)
def test_what_an_action_says(action, entry):
    assert described(action) == ([] if entry is None else [(entry,)])


def test_addresses_of_version_6():
    action = {"masked_remote_address": {"v6_prefix_mask_len": 32}}
    assert described(action, remote="[2001:db8:1::7]:80") == [(("masked_remote_address", "2001:db8::/32"),)]
    assert described({"remote_address": {}}, remote="[2001:db8:1::7]:80") == [(("remote_address", "2001:db8:1::7"),)]


def test_nothing_found_drops_the_descriptor_unless_it_may_be_skipped():
    own = {"generic_key": {"descriptor_value": "v"}}
    needed = {"request_headers": {"header_name": "x-none", "descriptor_key": "u"}}
    skipped = {"request_headers": {"header_name": "x-none", "descriptor_key": "u", "skip_if_absent": True}}
    for rule, entries in (([own, needed], []), ([own, skipped], [(("generic_key", "v"),)]), ([skipped], [])):
        matched = table_of({"route": {"cluster": "up", "rate_limits": [{"actions": rule}]}}).match(REQUEST, 0)
        asked = exchange(REQUEST, route=matched)
        assert [one.entries for one in describe(of_route(asked, OVERRIDE), 0, asked, "")] == entries


def test_rules_are_for_filters_of_their_stage():
    rules = [{"stage": 3, "actions": [{"generic_key": {"descriptor_value": "v"}}]}]
    asked = exchange(REQUEST, route=table_of({"route": {"cluster": "up", "rate_limits": rules}}).match(REQUEST, 0))
    assert describe(of_route(asked, OVERRIDE), 0, asked, "") == []
    assert len(describe(of_route(asked, OVERRIDE), 3, asked, "")) == 1


def test_whose_rules_count():
    one, two = Rule(()), Rule(())
    assert RateLimits((one,), (two,)).rules(OVERRIDE) == (one,)
    assert RateLimits((), (two,)).rules(OVERRIDE) == (two,)
    assert RateLimits((one,), (two,)).rules(INCLUDE) == (one, two)
    assert RateLimits((), (two,)).rules(IGNORE) == ()
    assert RateLimits((one,), (two,), includes=True).rules(IGNORE) == (one, two)
    assert of_route(exchange(), OVERRIDE) == ()


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"actions": [{"dynamic_metadata": {"descriptor_key": "m", **at("a", "b")}}]}, "actions[0].dynamic_metadata"),
        ({"actions": [{"metadata": {"descriptor_key": "m", **at("a", "b")}}]}, "actions[0].metadata.source"),
        ({"actions": [{"extension": {"name": "x", "typed_config": EXTENSION}}]}, "actions[0].extension"),
        ({"actions": [{"generic_key": {"descriptor_value": "%REQ(x)%"}}]}, "actions[0].generic_key.descriptor_value"),
        ({"actions": [{"source_cluster": {}}], "apply_on_stream_done": True}, "apply_on_stream_done"),
        ({"actions": [{"source_cluster": {}}], "limit": {"dynamic_metadata": at("a", "b")}}, "limit"),
        ({"actions": [{"source_cluster": {}}], "hits_addend": {"number": 2}}, "hits_addend"),
        ({"actions": [{"source_cluster": {}}], "hits_addend": {"format": "%BYTES_SENT%"}}, "hits_addend.format"),
    ],
)
def test_what_cannot_be_honoured_is_refused(rule, path):
    with pytest.raises(ConfigError) as raised:
        table_of({"route": {"cluster": "up", "rate_limits": [rule]}})
    assert f"virtual_hosts[0].routes[0].route.rate_limits[0].{path}" in [one.path for one in raised.value.problems]
