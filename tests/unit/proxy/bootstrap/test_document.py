"""Bootstrap text into protobuf: every mistake at once, each with its line."""

import pytest

from pymesh.xds import proto
from pymesh_proxy.bootstrap.document import read
from pymesh_proxy.errors import ConfigError

BAD = """\
node: {id: bench, cluster: 4}
admn: {}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: abc}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefx: hi
  clusters:
  - name: up
    type: STATIK
    connect_timeout: 1m
    load_assignment: []
    eds_cluster_config: {eds_config: {ads: {}, path: x}}
"""


def bootstrap(text: str) -> object:
    return read(text, "b.yaml", proto.bootstrap.Bootstrap).message


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        bootstrap(text)
    return [str(problem) for problem in caught.value.problems]


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    found = problems(BAD)
    assert [one.split(": error: ")[0] for one in found] == [
        "b.yaml:1:28", "b.yaml:2:1", "b.yaml:6:64", "b.yaml:12:11", "b.yaml:15:11", "b.yaml:16:22", "b.yaml:17:22", "b.yaml:18:38",
    ]  # fmt: skip


def test_unknown_field_suggests_the_one_that_was_meant() -> None:
    assert problems("admn: {}\n") == ["b.yaml:1:1: error: admn: unknown field 'admn' (did you mean 'admin'?)"]


def test_unknown_field_inside_any_is_found() -> None:
    assert any("typed_config.stat_prefx: unknown field" in one for one in problems(BAD))


def test_bad_enum_suggests_a_value() -> None:
    assert any("'STATIK' is not a DiscoveryType (did you mean 'STATIC'?)" in one for one in problems(BAD))


def test_two_members_of_a_oneof_are_refused() -> None:
    assert any("only one of path, ads may be given" in one for one in problems(BAD))


def test_type_that_is_not_supported_is_named() -> None:
    text = 'static_resources: {listeners: [{listener_filters: [{typed_config: {"@type": type.googleapis.com/no.Such}}]}]}'
    assert "type 'type.googleapis.com/no.Such' is not supported" in problems(text)[0]


def test_broken_yaml_is_a_sentence_with_a_line() -> None:
    assert problems("node: {id: a\nadmin: b") == ["b.yaml:2:6: error: did not find expected ',' or '}'"]


def test_field_given_in_both_spellings_is_refused() -> None:
    assert problems("staticResources: {}\nstatic_resources: {}\n") == ["b.yaml:2:1: error: static_resources: given twice"]


def test_camel_case_and_snake_case_mean_the_same() -> None:
    assert bootstrap("staticResources: {clusters: [{name: c, connectTimeout: 0.25s}]}") == bootstrap(
        "static_resources: {clusters: [{name: c, connect_timeout: 0.25s}]}"
    )


def test_json_is_read_as_well() -> None:
    assert bootstrap('{"node": {"id": "a", "metadata": {"n": null, "l": [1, true]}}}') == proto.bootstrap.Bootstrap(
        node={"id": "a", "metadata": {"n": None, "l": [1, True]}}
    )


def test_null_leaves_a_field_unset() -> None:
    message = bootstrap("node: {id: a}\nadmin:\n")
    assert not message.HasField("admin")  # type: ignore[attr-defined]


def test_empty_text_is_an_empty_bootstrap() -> None:
    assert bootstrap("") == proto.bootstrap.Bootstrap()


def test_date_stays_text() -> None:
    message = bootstrap("node: {metadata: {built: 2024-01-01}}")
    assert message.node.metadata["built"] == "2024-01-01"  # type: ignore[attr-defined]


def test_merge_keys_are_followed() -> None:
    text = """
node: &node {id: a, cluster: c}
static_resources: {clusters: [{<<: {name: one}, type: EDS}]}
"""
    assert bootstrap(text).static_resources.clusters[0].name == "one"  # type: ignore[attr-defined]


def test_place_of_a_missing_field_is_its_nearest_ancestor() -> None:
    document = read("static_resources:\n  clusters:\n  - name: c\n", "b.yaml", proto.bootstrap.Bootstrap)
    assert document.place("static_resources.clusters[0].load_assignment.endpoints[0]") == "b.yaml:3:5"
    assert document.place("admin.address") == "b.yaml:1:1"
