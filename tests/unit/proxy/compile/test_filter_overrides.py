"""What routes say of filters: the levels, the wrapper, and what cannot be honoured."""

import pytest
import yaml

from pymesh_proxy.compile import overrides
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.filters.chain import Override
from pymesh_proxy.http.headers import RequestHead

WRAPPER = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
OFF = {"@type": WRAPPER, "disabled": True}
ON = {"@type": WRAPPER, "config": {}}


def table(parse, *, levels=(), action=None):
    """A table whose levels, from the outermost, say something of filters."""
    said = [*levels, {}, {}, {}, {}][:4]
    action = action or {"weighted_clusters": {"clusters": [{"name": "up", "weight": 1, "typed_per_filter_config": said[3]}]}}
    route = {"match": {"prefix": "/"}, "route": action, "typed_per_filter_config": said[2]}
    host = {"name": "v", "domains": ["*"], "routes": [route], "typed_per_filter_config": said[1]}
    return parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": [host], "typed_per_filter_config": said[0]}))


@pytest.fixture
def said(parse):
    """What holds for a request, from the levels' words."""

    def find(*levels, **action):
        route = compile_routes(table(parse, levels=levels, **action)).match(RequestHead(b"GET", b"/", b"a", []), 0)
        return route.action.only.overrides or route.overrides

    return find


@pytest.fixture
def wrong(parse, problems):
    return lambda *levels: problems(compile_routes, table(parse, levels=levels))


def shown(found):
    return {name: (one.disabled, one.config) for name, one in found.by_name.items()}


def test_nothing_said_is_nothing_to_look_at(said):
    assert said() is None


def test_the_most_specific_level_decides_whether_a_filter_runs(said):
    assert shown(said({"f": OFF}, {"f": ON})) == {"f": (False, None)}
    assert shown(said({"f": ON}, {}, {"f": OFF})) == {"f": (True, None)}
    assert shown(said({"f": OFF, "g": OFF}, {}, {}, {"f": ON})) == {"f": (False, None), "g": (True, None)}


def test_a_weighted_entry_without_words_leaves_the_routes(said):
    assert shown(said({}, {}, {"f": OFF}, {})) == {"f": (True, None)}


def test_an_enabled_filter_takes_the_configuration_of_a_level_further_out():
    inner, outer = {"f": Override()}, {"f": Override("outer"), "g": Override("g")}
    assert shown(overrides.merged([inner, outer])) == {"f": (False, "outer"), "g": (False, "g")}
    assert shown(overrides.merged([{"f": Override("inner")}, outer])) == {"f": (False, "inner"), "g": (False, "g")}


@pytest.mark.parametrize(
    ("config", "path", "sentence"),
    [
        ({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}, "", "no implementation"),
        ({"@type": WRAPPER}, ".config", "this field is required"),
        ({"@type": WRAPPER, "config": {"@type": WRAPPER, "disabled": True}}, ".config", "no implementation"),
    ],
)
def test_what_no_filter_here_understands_is_refused(wrong, config, path, sentence):
    assert sentence in wrong({"f": config})[f"typed_per_filter_config['f']{path}"]


def test_it_is_left_out_where_it_is_optional(said):
    config = {"@type": WRAPPER, "is_optional": True, "config": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}
    assert said({"f": config}) is None
