"""The story's tables."""

from rich.table import Table

from .checks import Measured
from .load import Record
from .metrics import Traffic


def split_table(measured: Measured) -> Table:
    """Requests and latency by version: the clients' count beside the mesh's own metrics."""
    table = Table("version", "answers", "share", "counted by the mesh", "p50 ms", "p99 ms")
    for column in table.columns[1:]:
        column.justify = "right"
    answers = measured.record.versions
    total = sum(answers.values())
    for version in sorted({*answers, *measured.mesh}):
        traffic = measured.mesh.get(version, Traffic())
        share = f"{answers[version] / total:.1%}" if total else "-"
        latency = [_milliseconds(traffic.durations.quantile(part)) for part in (0.50, 0.99)]
        table.add_row(version, str(answers[version]), share, str(traffic.requests), *latency)
    return table


def steady_table(record: Record, *facts: tuple[str, str]) -> Table:
    """How traffic went on while something was killed."""
    by_version = ", ".join(f"{version} {count}" for version, count in sorted(record.versions.items()))
    return facts_table(
        *facts,
        ("requests meanwhile", str(len(record.outcomes))),
        ("answered by", by_version or "-"),
        ("failed", str(sum(record.failures.values()))),
        ("longest time without an answer", f"{record.longest_silence() * 1000:.0f} ms"),
    )


def facts_table(*facts: tuple[str, str]) -> Table:
    """Two columns of what was found."""
    table = Table(show_header=False)
    for _ in range(2):
        table.add_column(overflow="fold")  # a cut address cannot be tried
    for name, value in facts:
        table.add_row(name, value)
    return table


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
