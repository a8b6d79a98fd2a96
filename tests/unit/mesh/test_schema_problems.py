"""Mistakes that the schema finds: every one is told, at the token that has to change."""

# ruff: noqa: E501  (a problem is one line, however long)

import textwrap

import pytest

from pymesh.api import parse_text

HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
"""


def lines_of(text):
    return [str(problem) for problem in parse_text(text, "f.yaml").problems]


def spec_problems(spec):
    """Problems of a VirtualService whose spec begins on line 5, column 3, without what all of them begin with."""
    return [line.replace(" error: VirtualService reviews: spec.", " ") for line in lines_of(HEAD + textwrap.indent(textwrap.dedent(spec), "  "))]


def test_a_misspelt_field_is_named_with_a_suggestion():
    text = HEAD + "  hosts: [a]\n  http:\n  - rout:\n    - destination: {host: a}\n"
    assert 'f.yaml:7:5: error: VirtualService reviews: spec.http[0].rout: unknown field (did you mean "route"?)' in lines_of(text)


def test_every_mistake_of_every_document_is_reported_at_once():
    text = HEAD + "  hosts: 5\n  htp: []\n  http: [{timeout: soon}]\n---\n" + HEAD + "  tcp: {}\n"
    places = [line.split(" error: ")[0] for line in lines_of(text)]
    assert places == ["f.yaml:5:10:", "f.yaml:6:3:", "f.yaml:7:20:", "f.yaml:13:3:"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hosts: [on]", 'f.yaml:5:11: hosts[0]: expected a string, found the boolean on (YAML 1.1 reads a bare on as true; write "on")'),
        ("hosts: [200]", 'f.yaml:5:11: hosts[0]: expected a string, found the number 200 (write "200")'),
        ("hosts: reviews", 'f.yaml:5:10: hosts: expected a list, found the string "reviews"'),
        ("http: [5]", "f.yaml:5:10: http[0]: expected an object, found the number 5"),
        ("http: [{match: [{headers: [a]}]}]", "f.yaml:5:20: http[0].match[0].headers: expected an object, found a list"),
        ("http: [{match: [{port: '80'}]}]", 'f.yaml:5:26: http[0].match[0].port: expected a whole number, found the string "80" (write it without quotes)'),
        ("http: [{match: [{port: true}]}]", "f.yaml:5:26: http[0].match[0].port: expected a whole number, found the boolean true"),
        ("http: [{match: [{port: 1.5}]}]", "f.yaml:5:26: http[0].match[0].port: expected a whole number, found the number 1.5"),
        ("http: [{match: [{port: -1}]}]", "f.yaml:5:26: http[0].match[0].port: must be at least 0, found the number -1"),
        ("http: [{mirrorPercent: 4294967296}]", "f.yaml:5:26: http[0].mirrorPercent: must be at most 4294967295, found the number 4294967296"),
        ("http: [{timeout: 5}]", 'f.yaml:5:20: http[0].timeout: expected a duration such as "10s" or "100ms"'),
        ("http: [{timeout: 5 s}]", 'f.yaml:5:20: http[0].timeout: "5 s" is not a duration such as "10s", "100ms" or "1h30m"'),
        ("http: [{corsPolicy: {allowCredentials: 'true'}}]", 'f.yaml:5:42: http[0].corsPolicy.allowCredentials: expected true or false, found the string "true" (write it without quotes)'),
        ("http: [{corsPolicy: {unmatchedPreflights: IGNOR}}]", 'f.yaml:5:45: http[0].corsPolicy.unmatchedPreflights: expected one of UNSPECIFIED, FORWARD, IGNORE, found the string "IGNOR" (did you mean "IGNORE"?)'),
        ("http: [{fault: {abort: {percentage: {value: .inf}}}}]", "f.yaml:5:47: http[0].fault.abort.percentage.value: expected a finite number, found the number .inf"),
        ("http: [{redirect: {port: 1, derivePort: FROM_REQUEST_PORT}}]", 'f.yaml:5:31: http[0].redirect.derivePort: "port" and "derivePort" cannot be set together'),
        ("http: [{directResponse: {}}]", 'f.yaml:5:11: http[0].directResponse: the required field "status" is missing'),
        ("tls: [{}]", 'f.yaml:5:9: tls[0]: the required field "match" is missing'),
        ("export_to: ['.']\nexportTo: ['*']", 'f.yaml:6:3: exportTo: the same field is already set as "export_to"'),
    ],
)
def test_a_wrong_value_is_explained_where_it_stands(spec, expected):
    assert expected in spec_problems(spec)


def test_a_key_of_a_map_is_not_taken_for_a_field():
    assert not [line for line in spec_problems("http: [{match: [{headers: {user_agent: {exact: a}, userAgent: {}}}]}]") if "headers" in line]


def test_a_missing_field_of_a_block_is_reported_at_its_key():
    text = HEAD + "  http:\n  - route:\n    - destination:\n        subset: v1\n"
    assert 'f.yaml:7:7: error: VirtualService reviews: spec.http[0].route[0].destination: the required field "host" is missing' in lines_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: VirtualService\nmetadata: {name: a}", 'f.yaml:1:1: error: VirtualService a: the required field "apiVersion" is missing'),
        ("apiVersion: v1\nmetadata: {name: a}", 'f.yaml:1:1: error: a: the required field "kind" is missing'),
        ("apiVersion: networking.istio.io/v2\nkind: Gateway\nmetadata: {name: g}", "f.yaml:1:13: error: Gateway g: apiVersion: networking.istio.io/v2 is not served; use one of networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3"),
        ("apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: s}", 'f.yaml:2:7: error: VirtualServce s: kind: VirtualServce is not a kind of networking.istio.io (did you mean "VirtualService"?)'),
        ("apiVersion: networking.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: s}", "f.yaml:2:7: error: PeerAuthentication s: kind: PeerAuthentication belongs to security.istio.io, not to networking.istio.io"),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nspec: {}", 'f.yaml:1:1: error: Gateway: the required field "metadata" is missing'),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {nam: g}", 'f.yaml:3:12: error: Gateway: metadata.nam: unknown field (did you mean "name"?)'),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspek: {}", 'f.yaml:4:1: error: Gateway g: spek: unknown field (did you mean "spec"?)'),
        ("- a", "f.yaml:1:1: error: expected an object with apiVersion, kind and metadata, found a list"),
        ("hello", 'f.yaml:1:1: error: expected an object with apiVersion, kind and metadata, found the string "hello"'),
    ],
)
def test_an_object_that_is_not_ours_is_refused_with_a_reason(text, expected):
    assert expected in lines_of(text)


def test_a_resource_with_an_error_is_left_out_and_the_others_are_kept():
    good = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: strict}\nspec: {mtls: {mode: STRICT}}\n"
    parsed = parse_text(good + "---\n" + good.replace("strict", "bad").replace("STRICT", "strickt"), "f.yaml")
    assert [resource.name for resource in parsed.resources] == ["strict"]
    assert len(parsed.problems) == 1


def test_the_same_object_twice_is_an_error_at_the_second_place():
    good = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\n"
    assert lines_of(good + "---\n" + good) == ["f.yaml:5:1: error: PeerAuthentication a: already defined at f.yaml:1:1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec:\n  rules:\n  - from:\n    - source: {principals: 5}",
            "f.yaml:7:28: error: AuthorizationPolicy a: spec.rules[0].from[0].source.principals: expected a list, found the number 5",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  clusterIP: 5",
            'f.yaml:5:14: error: Service a: spec.clusterIP: expected a string, found the number 5 (write "5")',
        ),
    ],
)
def test_a_field_whose_name_follows_no_rule_is_found_where_it_stands(text, expected):
    assert lines_of(text) == [expected]
