"""Prometheus' text format (0.0.4) of Envoy's statistics and Istio's metrics."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pymesh

from ..tls import verify
from .istio import IstioStats
from .labels import HTTP_LABELS, TCP_LABELS
from .series import BOUNDS, Histogram, HttpSeries, TcpSeries
from .stats import Selection, Subject, is_gauge, metric_of, subjects

if TYPE_CHECKING:
    from ..runtime import Runtime

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = [*(f"{bound:g}" if bound < 1e6 else str(int(bound)) for bound in BOUNDS), "+Inf"]


class Exposition:
    """Samples grouped by metric, because the format wants each metric's samples together under its TYPE."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}
        self._numbers: dict[str, dict[str, int]] = {}
        """By metric and tags."""

    def family(self, name: str, kind: str) -> list[str]:
        """The lines of a metric, to which samples are appended."""
        lines = self._families.get(name)
        if lines is None:
            lines = self._families[name] = [f"# TYPE {name} {kind}"]
        return lines

    def add(self, name: str, kind: str, tags: str, value: int) -> None:
        """A number of Envoy's. Who shares a name in statistics (alt_stat_name) has one with the others; twice it would void the scrape."""
        numbers = self._numbers.get(name)
        if numbers is None:
            self.family(name, kind)
            numbers = self._numbers[name] = {}
        numbers[tags] = numbers.get(tags, 0) + value

    def text(self) -> bytes:
        lines: list[str] = []
        for name, family in self._families.items():
            lines += family
            lines += [f"{name}{{{tags}}} {value}" for tags, value in self._numbers.get(name, {}).items()]
        return ("\n".join(lines) + "\n").encode() if lines else b""


def render(
    runtime: "Runtime", istio: Iterable[IstioStats] = (), others: Iterable[Subject] = (), selection: Selection | None = None
) -> bytes:
    """The whole exposition at once; `others` are statistics that the runtime does not know (server, control plane)."""
    exposition = Exposition()
    for _ in fill(exposition, runtime, istio, others, selection):
        pass
    return exposition.text()


def fill(
    exposition: Exposition,
    runtime: "Runtime",
    istio: Iterable[IstioStats] = (),
    others: Iterable[Subject] = (),
    selection: Selection | None = None,
) -> Iterator[None]:
    """Write everything into `exposition`, yielding after each cluster or series, so that a scrape need not stop the traffic."""
    chosen = selection or Selection()
    for found in (subjects(runtime), others):
        for subject in found:
            _add_subject(exposition, subject, chosen)
            yield
    exposition.family("istio_build", "gauge").append(f'istio_build{{component="proxy",tag="{pymesh.__version__}"}} 1')
    _add_certificates(exposition, runtime)
    if runtime.dns is not None:
        for name, kind, samples in runtime.dns.metrics():
            exposition.family(name, kind).extend(samples)
    for stats in istio:
        stats.settle()
        for request in list(stats.requests):
            _add_requests(exposition, request)
            yield
        for connection in list(stats.connections):
            _add_connections(exposition, connection)
            yield
        _add_overflow(exposition, stats)


def _add_subject(exposition: Exposition, subject: Subject, selection: Selection) -> None:
    own = f'{subject.group.tag}="{escape(subject.label)}"' if subject.group.tag else ""
    for stat, value in subject.values:
        if isinstance(value, int) and selection.takes(subject, stat, value):
            metric, tag = metric_of(subject.group, stat)
            tags = f"{tag},{own}" if tag and own else tag or own
            exposition.add(metric, "gauge" if is_gauge(stat) else "counter", tags, value)


def _add_certificates(exposition: Exposition, runtime: "Runtime") -> None:
    """How long the certificates that SDS brought are still valid, under the name that Istio's agent has for it; negative: expired."""
    name = "istio_agent_cert_expiry_seconds"
    for secret in runtime.secrets:
        if secret.chain:
            left = verify.leaf(secret.chain).not_after - time.time()
            exposition.family(name, "gauge").append(f'{name}{{resource_name="{escape(secret.name)}"}} {left:.0f}')


def _add_requests(exposition: Exposition, series: HttpSeries) -> None:
    tags = _tags(HTTP_LABELS, series.labels)
    exposition.family("istio_requests_total", "counter").append(f"istio_requests_total{{{tags}}} {series.requests}")
    _add_histogram(exposition, "istio_request_duration_milliseconds", tags, series.duration)
    _add_histogram(exposition, "istio_request_bytes", tags, series.request_bytes)
    _add_histogram(exposition, "istio_response_bytes", tags, series.response_bytes)


def _add_histogram(exposition: Exposition, name: str, tags: str, histogram: Histogram) -> None:
    lines = exposition.family(name, "histogram")
    count = 0
    for bound, observed in zip(_BUCKETS, histogram.counts, strict=True):
        count += observed
        lines.append(f'{name}_bucket{{{tags},le="{bound}"}} {count}')
    lines.append(f"{name}_sum{{{tags}}} {histogram.total}")
    lines.append(f"{name}_count{{{tags}}} {count}")


def _add_connections(exposition: Exposition, series: TcpSeries) -> None:
    tags = _tags(TCP_LABELS, series.labels)
    for name, value in (
        ("istio_tcp_connections_opened_total", series.opened),
        ("istio_tcp_connections_closed_total", series.closed),
        ("istio_tcp_sent_bytes_total", series.sent),
        ("istio_tcp_received_bytes_total", series.received),
    ):
        exposition.family(name, "counter").append(f"{name}{{{tags}}} {value}")


def _add_overflow(exposition: Exposition, stats: IstioStats) -> None:
    """How often a label combination found no room: above zero, some labels say `overflow`."""
    name = "pymesh_istio_series_overflow_total"
    for kind, table in (("http", stats.requests), ("tcp", stats.connections)):
        exposition.family(name, "counter").append(f'{name}{{reporter="{stats.reporter}",kind="{kind}"}} {table.overflowed}')


def _tags(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join([f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True)])


def escape(value: str) -> str:
    """A label's value: the format escapes backslash, quote and newline; what is not UTF-8 cannot stand in it at all."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return value
    text = value.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
