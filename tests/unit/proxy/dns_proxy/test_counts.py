"""The DNS proxy's metrics as Prometheus reads them."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from pymesh_proxy.dns_proxy.counts import DnsCounts
from pymesh_proxy.observe.prometheus import render
from pymesh_proxy.runtime import Runtime


def samples(runtime):
    families = text_string_to_metric_families(render(runtime).decode())
    return {(one.name, one.labels.get("le")): one.value for family in families for one in family.samples if one.name.startswith("dns_")}


async def test_what_is_counted_is_told():
    runtime = Runtime(asyncio.get_running_loop())
    assert samples(runtime) == {}
    runtime.dns = counts = DnsCounts()
    counts.requests, counts.upstream_requests, counts.upstream_failures = 5, 3, 1
    for seconds in (0.001, 0.02, 30.0):
        counts.took(seconds)
    found = samples(runtime)
    assert [found[f"dns_{name}_total", None] for name in ("requests", "upstream_requests", "upstream_failures")] == [5, 3, 1]
    name = "dns_upstream_request_duration_seconds"
    told = {bound: value for (metric, bound), value in found.items() if metric == f"{name}_bucket"}
    assert told == {"0.001": 1, "0.005": 1, "0.01": 1, "0.1": 2, "1": 2, "5": 2, "+Inf": 3}
    assert (found[f"{name}_count", None], found[f"{name}_sum", None]) == (3, 30.021)
