"""What must hold for every input: escaping, JSON lines, histograms, the exposition of labels."""

import json
import re
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pymesh_proxy.observe import prometheus
from pymesh_proxy.observe.escape import escape, one_line
from pymesh_proxy.observe.format import compile_http
from pymesh_proxy.observe.peers import Decoder
from pymesh_proxy.observe.series import BOUNDS, Histogram
from pymesh_proxy.observe.timestamps import compile_time

fixed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.binary() | st.text())
def test_escaped_text_is_one_printable_line_without_a_bare_quote(raw: bytes | str) -> None:
    text = escape(raw)
    assert text.isprintable()
    assert '"' not in re.sub(r"\\.", "", text)


@given(st.text(alphabet=st.characters(exclude_characters='"\\', categories=("L", "N", "P", "Zs"))))
def test_harmless_text_is_left_alone(text: str) -> None:
    if text.isprintable():
        assert escape(text.encode()) == text


@given(st.binary())
def test_a_header_value_keeps_its_length_and_loses_its_line_ends(raw: bytes) -> None:
    value = one_line(raw)
    assert len(value) == len(raw)
    assert not set(value) & set(b"\r\n\0")


@fixed
@given(st.binary(), st.binary())
def test_a_json_line_is_json_whatever_was_sent(make: Any, path: bytes, agent: bytes) -> None:
    line = compile_http({"path": "%PATH%", "both": "%REQ(UA)% and %PATH%", "n": "%RESPONSE_CODE%"})(make.exchange(path, [(b"ua", agent)]))
    assert line.index("\n") == len(line) - 1
    assert json.loads(line)["n"] == 200


@given(st.lists(st.integers(min_value=0, max_value=10**10), max_size=50))
def test_a_histogram_counts_as_a_slow_one_does(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    cumulative = [sum(histogram.counts[: place + 1]) for place in range(len(BOUNDS))]
    assert cumulative == [sum(value <= bound for value in values) for bound in BOUNDS]
    assert sum(histogram.counts) == len(values)
    assert histogram.total == sum(values)


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_label_is_read_back_by_prometheus_own_parser(value: str) -> None:
    (family,) = text_string_to_metric_families(f'# TYPE m_total counter\nm_total{{l="{prometheus.escape(value)}"}} 1\n')
    assert family.samples[0].labels == {"l": value}


@given(st.binary())
def test_no_header_makes_the_decoder_fail(raw: bytes) -> None:
    Decoder().decode(raw)


@given(st.floats(min_value=0, max_value=4e9))
def test_a_timestamp_is_what_strftime_says(when: float) -> None:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(when)))
    assert re.fullmatch(whole + r"\.\d{3}Z", compile_time("%Y-%m-%dT%H:%M:%S.%3fZ")(when))
    assert compile_time("%s")(when) == str(int(when))
