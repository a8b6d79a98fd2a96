"""Messages of Envoy's API by name, and from their JSON."""

import re
import sys

import pytest

from pymesh.xds import known

CLUSTER = "envoy.config.cluster.v3.Cluster"


def test_a_message_that_nothing_has_imported_is_found():
    found = known.message_type("envoy.extensions.filters.http.health_check.v3.HealthCheck")
    assert found.DESCRIPTOR.full_name == "envoy.extensions.filters.http.health_check.v3.HealthCheck"


def test_a_message_within_a_message_is_found():
    assert known.message_type(f"{CLUSTER}.RefreshRate").DESCRIPTOR.name == "RefreshRate"


@pytest.mark.parametrize("name", ["", "this.Zen", "os.path.Join", "envoy.nothing.v9.Thing", "envoy..v3.Thing", f"{CLUSTER}s"])
def test_other_names_stand_for_nothing(name):
    with pytest.raises(LookupError):
        known.message_type(name)
    assert "this" not in sys.modules


@pytest.mark.parametrize("field", ["connect_timeout", "connectTimeout"])
def test_fields_have_two_spellings(field):
    assert known.from_json(CLUSTER, {field: "1.5s"}).connect_timeout.nanos == 500_000_000


def test_a_typed_configuration_needs_no_import():
    config = {"@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer", "max_request_bytes": 1}
    found = known.from_json("envoy.config.core.v3.TypedExtensionConfig", {"name": "b", "typed_config": config})
    assert found.typed_config.value


@pytest.mark.parametrize(
    ("value", "path", "sentence"),
    [
        ({"connect_timeout": "soon"}, ("connect_timeout",), 'Duration must end with letter "s": soon'),
        ({"load_assignment": {"endpoints": 1}}, ("load_assignment", "endpoints"), "repeated field endpoints must be in [] which is 1"),
        ({"loadAssignment": {"endpoints": [{}, {"priority": -1}]}}, ("loadAssignment", "endpoints", "priority"), "Value out of range: -1"),
        ({"load_assignment": {"endpoints": [{}, {"x": 1}]}}, ("load_assignment", "endpoints", 1, "x"), "has no field named"),
        ({"metadata": {"filter_metadata": {"a.b": 1}}}, ("metadata", "filter_metadata", "a.b"), "Struct must be in a dict which is 1"),
        ({"load_assignment": 1}, ("load_assignment",), "'int' object is not iterable"),
        ({"name": ["a"]}, ("name",), "expected string"),
        ({"transport_socket": {"typed_config": {"@type": "x/y"}}}, ("transport_socket", "typed_config", "@type"), '"x/y" is no message'),
    ],
)
def test_what_is_no_such_message_is_told_with_its_place(value, path, sentence):
    with pytest.raises(known.InvalidValue, match=re.escape(sentence)) as told:
        known.from_json(CLUSTER, value)
    assert told.value.path == path


def test_unknown_fields_are_told_or_left_out():
    with pytest.raises(known.InvalidValue, match="colour"):
        known.from_json(CLUSTER, {"colour": "red"})
    assert known.from_json(CLUSTER, {"colour": "red", "name": "a"}, ignore_unknown=True).name == "a"
