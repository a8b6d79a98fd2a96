"""Figures of one round, their medians and ratios over rounds, and the table they make."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from .processes import Stable, peak_rss_mib

Sample = dict[str, float]
"""One round of one candidate: figures by the keys of HEADINGS."""

HEADINGS = {
    "rate": "requests/s",
    "mib": "MiB/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "added": "p99 added ms",
    "late": "sent late, p99 ms",
    "scaling": "requests/s over one worker's",
    "spread": "CPU over that with 3 endpoints",
    "cpu": "CPU us/request",
    "cpu_mib": "CPU us/MiB",
    "idle": "RSS idle MiB",
    "connected": "RSS with 1,000 connections MiB",
    "configured": "RSS with 1,000 clusters MiB",
}


@dataclass(frozen=True)
class Candidate:
    """Something under load: a port, and the processes whose cost is counted (none for a direct connection)."""

    name: str
    port: int
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A figure whose ratio to Envoy's is shown, and what the ratio may be (None: shown only)."""

    key: str
    bound: float | None = None
    at_least: bool = False

    def reached(self, ratio: float) -> bool:
        return self.bound is None or (ratio >= self.bound if self.at_least else ratio <= self.bound)


Load = Callable[[Candidate, float], Sample]
"""Loads a candidate for some seconds; SystemExit when the answers were wrong."""


@dataclass(frozen=True)
class Case:
    """What is measured: how its candidates are started and loaded, and which figures are shown and judged."""

    name: str
    title: str
    start: Callable[[Stable], list[Candidate]]
    load: Load
    columns: tuple[str, ...]
    bars: tuple[Bar, ...]
    relate: Callable[[dict[str, Sample]], None] | None = None
    """Adds to a round the figures that compare candidates."""
    fresh: bool = False
    """Whether each load starts processes of its own, so that nothing needs to warm up."""


@dataclass(frozen=True)
class Result:
    """A candidate's medians, and its ratios to Envoy, taken round by round, by the bars' keys."""

    name: str
    median: Sample
    ratios: Sample
    peak_rss: float | None


def summarize(case: Case, candidates: list[Candidate], rounds: list[dict[str, Sample]]) -> list[Result]:
    """Medians over the rounds."""
    results = []
    for candidate in candidates:
        mine = [each[candidate.name] for each in rounds]
        median = {key: statistics.median(sample[key] for sample in mine) for key in mine[0]}
        keys = [bar.key for bar in case.bars if bar.key in median]
        ratios = {key: statistics.median(each[candidate.name][key] / each["envoy"][key] for each in rounds) for key in keys}
        rss = sum(map(peak_rss_mib, candidate.pids)) / len(candidate.pids) if candidate.pids else None
        results.append(Result(candidate.name, median, ratios, rss))
    return results


def table(case: Case, results: list[Result]) -> tuple[str, bool]:
    """A Markdown table of one case, and whether every bar was reached."""
    ratios = [f"{HEADINGS[bar.key]}, ratio to Envoy" for bar in case.bars]
    memory = [] if case.fresh else ["peak RSS MiB"]
    head = ["candidate", *(HEADINGS[key] for key in case.columns), *ratios, *memory]
    lines = [f"### `{case.name}`: {case.title}", "", _row(head), "|" + "---|" * len(head)]
    for result in results:
        cells = [_figure(result.median.get(key)) for key in case.columns] + [_figure(result.ratios.get(bar.key)) for bar in case.bars]
        lines.append(_row([result.name, *cells, *([_figure(result.peak_rss)] if memory else [])]))
    ours = next(result.ratios for result in results if result.name == "pymesh")
    judged = [(bar, bar.reached(ours[bar.key])) for bar in case.bars if bar.bound is not None]
    lines += ["", *(_verdict(bar, good) for bar, good in judged)] if judged else []
    return "\n".join(lines), all(good for _, good in judged)


def _verdict(bar: Bar, good: bool) -> str:
    side = "at least" if bar.at_least else "at most"
    return f"First bar, {HEADINGS[bar.key]}, {side} {bar.bound} of Envoy's: {'reached' if good else 'missed'}."


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
