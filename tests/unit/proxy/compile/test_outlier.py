import dataclasses

import pytest

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.http.headers import ResponseHead
from pymesh_proxy.upstream.outlier_config import ENFORCING, Ejection, OutlierConfig


def cluster(text, kind="STATIC", extra=""):
    return f"{{name: c, type: {kind}, outlier_detection: {{{text}}}{extra}}}"


def test_without_it_nothing_is_detected(parse):
    assert compile_cluster(parse("cluster", "{name: c, type: STATIC}")).outlier is None


def test_an_empty_one_has_envoys_defaults(parse):
    assert compile_cluster(parse("cluster", cluster(""))).outlier == OutlierConfig()


def test_every_field_arrives(parse):
    numbers = {
        "consecutive_5xx": 1,
        "consecutive_gateway_failure": 2,
        "consecutive_local_origin_failure": 3,
        "max_ejection_percent": 4,
        "success_rate_minimum_hosts": 5,
        "success_rate_request_volume": 6,
        "success_rate_stdev_factor": 7,
        "failure_percentage_threshold": 8,
        "failure_percentage_minimum_hosts": 9,
        "failure_percentage_request_volume": 10,
    }
    enforcing = {
        "enforcing_consecutive_5xx": (Ejection.CONSECUTIVE_5XX, 11),
        "enforcing_consecutive_gateway_failure": (Ejection.CONSECUTIVE_GATEWAY_FAILURE, 12),
        "enforcing_consecutive_local_origin_failure": (Ejection.CONSECUTIVE_LOCAL_ORIGIN_FAILURE, 13),
        "enforcing_success_rate": (Ejection.SUCCESS_RATE, 14),
        "enforcing_local_origin_success_rate": (Ejection.SUCCESS_RATE_LOCAL_ORIGIN, 15),
        "enforcing_failure_percentage": (Ejection.FAILURE_PERCENTAGE, 16),
        "enforcing_failure_percentage_local_origin": (Ejection.FAILURE_PERCENTAGE_LOCAL_ORIGIN, 17),
    }
    times = "interval: 18s, base_ejection_time: 19s, max_ejection_time: 20s, max_ejection_time_jitter: 21s"
    flags = "split_external_local_origin_errors: true, always_eject_one_host: true, successful_active_health_check_uneject_host: false"
    named = [f"{name}: {value}" for name, value in {**numbers, **{name: value for name, (_, value) in enforcing.items()}}.items()]
    assert compile_cluster(parse("cluster", cluster(", ".join([*named, times, flags])))).outlier == OutlierConfig(
        **numbers,
        enforcing=dict(enforcing.values()),
        interval=18.0,
        base_ejection_time=19.0,
        max_ejection_time=20.0,
        max_ejection_time_jitter=21.0,
        split_local_origin=True,
        always_eject_one=True,
        check_returns=False,
    )


def test_the_longest_time_follows_a_long_base(parse):
    assert compile_cluster(parse("cluster", cluster("base_ejection_time: 400s"))).outlier == OutlierConfig(
        base_ejection_time=400.0, max_ejection_time=400.0
    )


def test_every_reason_has_a_default():
    assert set(ENFORCING) == set(Ejection)
    assert dataclasses.replace(OutlierConfig()).enforcing == ENFORCING


@pytest.mark.parametrize(("text", "path"), [
    ("base_ejection_time: 40s, max_ejection_time: 30s", "outlier_detection.max_ejection_time"),
    ("monitors: [{name: m, typed_config: {'@type': type.googleapis.com/google.protobuf.Struct, value: {}}}]", "outlier_detection.monitors"),
    ("interval: 0s", "outlier_detection.interval"),
    ("enforcing_consecutive_5xx: 101", "outlier_detection.enforcing_consecutive_5xx"),
])  # fmt: skip
def test_what_cannot_be_honoured_is_refused(parse, problems, text, path):
    assert path in problems(compile_cluster, parse("cluster", cluster(text)))


def test_original_destinations_are_not_chosen_so_none_is_left_out(parse):
    message = parse("cluster", cluster("", "ORIGINAL_DST", ", lb_policy: CLUSTER_PROVIDED"))
    assert compile_cluster(message).outlier is None


STATUS = "http_response_headers_match: {headers: [{name: ':status', string_match: {exact: '429'}}]}"
HEADER = "http_response_headers_match: {headers: [{name: x-bad, present_match: true}, {name: x-worse, present_match: true}]}"


def errors(text):
    """A cluster whose `error_matcher` is the given one."""
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = f"explicit_http_config: {{http_protocol_options: {{}}}}, outlier_detection: {{error_matcher: {{{text}}}}}"
    return cluster("", extra=f", typed_extension_protocol_options: {{{kind}: {{'@type': type.googleapis.com/{kind}, {options}}}}}")


@pytest.mark.parametrize(("text", "expected"), [
    (STATUS, [429]),
    (f"not_match: {{{STATUS}}}", [200, 503]),
    ("any_match: true", [200, 429, 503]),
    (f"or_match: {{rules: [{{{STATUS}}}, {{{STATUS.replace('429', '503')}}}]}}", [429, 503]),
    (f"and_match: {{rules: [{{{STATUS}}}, {{{HEADER}}}]}}", []),
    (HEADER, [503]),
])  # fmt: skip
def test_errors_are_the_answers_that_the_http_options_match(parse, text, expected):
    answers = [
        ResponseHead(200, [(b"x-bad", b"1")]),
        ResponseHead(429, [(b"x-worse", b"1")]),
        ResponseHead(503, [(b"X-Worse", b"1"), (b"x-bad", b"")]),
    ]
    error = compile_cluster(parse("cluster", errors(text))).outlier.error
    assert [answer.status for answer in answers if error(answer)] == expected


@pytest.mark.parametrize("rule", [
    "http_request_headers_match: {}",
    "http_response_trailers_match: {}",
    "http_response_generic_body_match: {patterns: [{string_match: a}]}",
])  # fmt: skip
def test_errors_by_what_an_answers_head_does_not_tell_are_refused(parse, problems, rule):
    found = problems(compile_cluster, parse("cluster", errors(f"not_match: {{{rule}}}")))
    assert any(f"outlier_detection.error_matcher.not_match.{rule.partition(':')[0]}" in path for path in found)
