"""What the mesh itself has counted: Istio's request metrics of one proxy, as numbers per version of model-serving."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

REQUESTS = "istio_requests_total"
DURATION = "istio_request_duration_milliseconds_bucket"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts by upper bound, as Prometheus tells them."""

    buckets: Mapping[float, float] = field(default_factory=dict)

    def __sub__(self, earlier: "Histogram") -> "Histogram":
        return Histogram({bound: count - earlier.buckets.get(bound, 0) for bound, count in self.buckets.items()})

    def quantile(self, part: float) -> float | None:
        """The value below which `part` of the observations lie, interpolated within its bucket as PromQL does; None of nothing."""
        bounds = sorted(self.buckets)
        if not bounds or (total := self.buckets[bounds[-1]]) <= 0:
            return None
        rank, lower, below = part * total, 0.0, 0.0
        for bound in bounds:
            here = self.buckets[bound]
            if here >= rank:
                return lower if bound == inf else lower + (bound - lower) * (rank - below) / (here - below)
            lower, below = bound, here
        return lower


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one version answered: requests by response code, and their durations in milliseconds."""

    codes: Mapping[str, float] = field(default_factory=dict)
    durations: Histogram = field(default_factory=Histogram)

    def __sub__(self, earlier: "Traffic") -> "Traffic":
        codes = {code: count - earlier.codes.get(code, 0) for code, count in self.codes.items()}
        return Traffic({code: count for code, count in codes.items() if count}, self.durations - earlier.durations)

    @property
    def requests(self) -> int:
        return round(sum(self.codes.values()))


@dataclass(frozen=True, slots=True)
class Scrape:
    """The traffic of each version at one moment."""

    versions: Mapping[str, Traffic]

    def since(self, earlier: "Scrape") -> Mapping[str, Traffic]:
        """What was added, by version; versions without a request are left out."""
        added = {version: traffic - earlier.versions.get(version, Traffic()) for version, traffic in self.versions.items()}
        return {version: traffic for version, traffic in sorted(added.items()) if traffic.requests}


def read(text: str, workload_prefix: str) -> Scrape:
    """Requests that the proxy sent (reporter `source`) to workloads whose name has the prefix, by destination_version."""
    codes: dict[str, Counter[str]] = {}
    buckets: dict[str, Counter[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("reporter") != "source" or not labels.get("destination_workload", "").startswith(workload_prefix):
                continue
            if sample.name == REQUESTS:
                codes.setdefault(labels["destination_version"], Counter())[labels["response_code"]] += round(sample.value)
            elif sample.name == DURATION:
                buckets.setdefault(labels["destination_version"], Counter())[float(labels["le"])] += round(sample.value)
    return Scrape({version: Traffic(count, Histogram(buckets.get(version, Counter()))) for version, count in codes.items()})


async def scrape(session: aiohttp.ClientSession, url: str, workload_prefix: str) -> Scrape:
    """Ask one proxy's Prometheus address."""
    async with session.get(url) as response:
        response.raise_for_status()
        return read(await response.text(), workload_prefix)
