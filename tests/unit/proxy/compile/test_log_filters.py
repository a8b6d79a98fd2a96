"""AccessLogFilters: which exchanges and connections pass them, and what cannot be asked."""

import time

import pytest
import yaml
from google.protobuf import json_format

from pymesh.xds import proto
from pymesh_proxy.compile.fields import compiled
from pymesh_proxy.compile.log_filters import log_filter
from pymesh_proxy.errors import ConfigError
from tests.unit.proxy.observe.conftest import exchange, session


def built(text):
    return compiled(json_format.ParseDict(yaml.safe_load(text), proto.accesslog.AccessLogFilter()), log_filter)


def compared(kind, op, value):
    return f"{kind}: {{comparison: {{op: {op}, value: {{default_value: {value}, runtime_key: none}}}}}}"


@pytest.mark.parametrize(
    ("text", "passes", "fails"),
    [
        (compared("status_code_filter", "EQ", 404), {"status": 404}, {"status": 405}),
        (compared("status_code_filter", "GE", 500), {"status": 500}, {"status": 499}),
        (compared("status_code_filter", "LE", 299), {"status": 299}, {"status": 300}),
        (compared("status_code_filter", "NE", 200), {"status": 503}, {"status": 200}),
        ("response_flag_filter: {flags: [UF, NR]}", {"flags": "URX,UF"}, {"flags": "UH"}),
        ("response_flag_filter: {}", {"flags": "DC"}, {"flags": ""}),
        ("header_filter: {header: {name: x-a, present_match: true}}", {"fields": [(b"x-a", b"1")]}, {}),
        ("header_filter: {header: {name: ':path', string_match: {prefix: /items}}}", {}, {"path": b"/other"}),
        ("grpc_status_filter: {statuses: [NOT_FOUND]}", {"response": [(b"grpc-status", b"5")]}, {"response": [(b"grpc-status", b"0")]}),
        ("grpc_status_filter: {statuses: [UNAVAILABLE]}", {"status": 503}, {"status": 404}),
        ("grpc_status_filter: {statuses: [OK], exclude: true}", {"status": 500}, {"status": 200}),
        ("runtime_filter: {runtime_key: k, percent_sampled: {numerator: 100}}", {}, None),
        ("runtime_filter: {runtime_key: k, percent_sampled: {numerator: 0}}", None, {}),
        ("not_health_check_filter: {}", {}, None),
        (
            f"and_filter: {{filters: [{{response_flag_filter: {{}}}}, {{{compared('status_code_filter', 'EQ', 503)}}}]}}",
            {"flags": "UF", "status": 503},
            {"flags": "UF", "status": 502},
        ),
        (
            f"or_filter: {{filters: [{{response_flag_filter: {{}}}}, {{{compared('status_code_filter', 'EQ', 503)}}}]}}",
            {"flags": "UF", "status": 502},
            {"status": 502},
        ),
    ],
)
def test_a_filter_takes_what_it_is_for(text, passes, fails):
    test = built(text)
    if passes is not None:
        assert test(exchange(**passes))
    if fails is not None:
        assert not test(exchange(**fails))


def test_durations_are_compared_in_milliseconds():
    now = time.monotonic()
    test = built(compared("duration_filter", "GE", 1000))
    assert test(exchange(started=now - 1.5))
    assert not test(exchange(started=now))


def test_a_tcp_connection_has_status_0_and_no_headers():
    assert built(compared("status_code_filter", "EQ", 0))(session())
    assert built("response_flag_filter: {flags: [UF]}")(session(flags="UF,URX"))
    assert not built("header_filter: {header: {name: x-a}}")(session())
    assert not built("grpc_status_filter: {statuses: [OK]}")(session())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("traceable_filter: {}", "traceable_filter"),
        ("log_type_filter: {types: [TcpPeriodic]}", "log_type_filter"),
        ("extension_filter: {name: cel}", "extension_filter"),
        ("response_flag_filter: {flags: [XX]}", "response_flag_filter.flags[0]"),
        ("and_filter: {filters: [{response_flag_filter: {}}, {traceable_filter: {}}]}", "and_filter.filters[1].traceable_filter"),
        ("{}", "filter_specifier"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(text, path):
    with pytest.raises(ConfigError) as raised:
        built(text)
    assert path in {problem.path for problem in raised.value.problems}
