"""What benchmarks and the soak conclude from their readings."""

import pytest

from tests.bench.cases import CASES
from tests.bench.measure import HEADINGS, Bar, Candidate, Case, Sample, summarize, table
from tests.bench.openloop import percentile
from tests.bench.soak import Reading, growth

OURS, ENVOY, DIRECT = Candidate("pymesh", 1), Candidate("envoy", 2), Candidate("direct", 3)


def case(*bars: Bar) -> Case:
    return Case("any", "any", lambda stable: [], lambda candidate, seconds: {}, ("rate", "cpu"), bars)


def rounds(*ours_and_envoys: tuple[float, float], key: str = "cpu") -> list[dict[str, Sample]]:
    return [{"pymesh": {key: ours}, "envoy": {key: envoys}, "direct": {"rate": 9.0}} for ours, envoys in ours_and_envoys]


def verdict(bar: Bar, ours: float, envoys: float) -> tuple[str, bool]:
    one = case(bar)
    return table(one, summarize(one, [OURS, ENVOY], rounds((ours, envoys), key=bar.key)))


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    ours, envoys, direct = summarize(case(Bar("cpu")), [OURS, ENVOY, DIRECT], rounds((10, 20), (30, 30), (40, 100)))
    assert ours.ratios == {"cpu": 0.5}
    assert ours.median == {"cpu": 30}
    assert envoys.ratios == {"cpu": 1.0}
    assert direct.ratios == {}


@pytest.mark.parametrize(
    ("bar", "ours", "reached"),
    [
        (Bar("cpu", 0.65), 65, True),
        (Bar("cpu", 0.65), 66, False),
        (Bar("mib", 0.8, at_least=True), 80, True),
        (Bar("mib", 0.8, at_least=True), 79, False),
        (Bar("cpu"), 1000, True),
    ],
)
def test_a_bar_is_reached_from_its_own_side(bar: Bar, ours: float, reached: bool) -> None:
    text, good = verdict(bar, ours, 100)
    assert good is reached
    assert ("missed" in text) is not reached


def test_a_candidate_without_processes_has_no_cost_in_the_table() -> None:
    one = case(Bar("cpu"))
    text, _ = table(one, summarize(one, [OURS, ENVOY, DIRECT], rounds((10, 20))))
    assert "| direct | 9.00 | - | - | - |" in text


def test_every_figure_of_every_case_has_a_heading() -> None:
    for each in CASES:
        assert {*each.columns, *(bar.key for bar in each.bars)} <= HEADINGS.keys(), each.name


def test_a_percentile_is_in_milliseconds_and_of_the_sorted_times() -> None:
    times = [number / 1000 for number in range(100, 0, -1)]
    assert percentile(times, 0.99) == 100
    assert percentile(times, 0.5) == 51


def test_what_fills_in_the_first_quarter_is_no_growth() -> None:
    filling, full = Reading(50, 10, 1), Reading(90, 90, 3)
    assert growth([filling, filling, *[full] * 6]) == []


@pytest.mark.parametrize(
    ("late", "said"),
    [
        (Reading(108.5, 20, 2), ["rss grew from 100 to 108.5"]),
        (Reading(100, 21, 2), ["files grew from 20 to 21"]),
        (Reading(100, 20, 3), ["tasks grew from 2 to 3"]),
    ],
)
def test_what_grows_later_is_told(late: Reading, said: list[str]) -> None:
    assert growth([Reading(100, 20, 2)] * 6 + [late] * 2) == said
