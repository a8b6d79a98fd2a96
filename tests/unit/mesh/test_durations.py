"""Durations: Go's grammar, whole milliseconds, and a way back."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh.api import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600), ("0.5s", 0.5), ("100ms", 0.1), ("1h30m", 5400), ("1.5h", 5400), (".5s", 0.5), ("5.s", 5), ("+2s", 2),
        ("1000us", 0.001), ("1000µs", 0.001), ("1000000ns", 0.001),
    ],
)
def test_a_duration_is_read_into_seconds(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "1 s", "1d", "1s2", "-1s", "0s", "0", "0.5ms", "1ns", "1h-1s", "1e3s", "٣s", ".s", "300000000h", "1.2.3s", "+", "inf"],
)
def test_what_is_no_duration_of_whole_milliseconds_is_refused(text):
    with pytest.raises(durations.InvalidDuration):
        durations.parse(text)


def test_zero_is_taken_only_where_it_has_a_meaning():
    assert durations.parse("0s", zero=True) == durations.parse("0", zero=True) == 0
    with pytest.raises(durations.InvalidDuration, match="at least 0s"):
        durations.parse("-1s", zero=True)


@given(st.integers(min_value=1, max_value=10**12))
def test_every_millisecond_survives_the_way_out_and_back(milliseconds):
    seconds = durations.parse(f"{milliseconds}ms")
    assert round(seconds * 1000) == milliseconds
    assert durations.parse(durations.render(seconds)) == seconds


@given(st.text(alphabet="0123456789.+-hmsnuµ ", max_size=12))
def test_any_text_is_a_duration_or_an_invalid_duration(text):
    with contextlib.suppress(durations.InvalidDuration):
        assert durations.parse(text) >= 0.001
