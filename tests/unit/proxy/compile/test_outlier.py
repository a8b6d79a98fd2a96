import dataclasses

import pytest

from pymesh_proxy.compile.clusters import compile_cluster
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
