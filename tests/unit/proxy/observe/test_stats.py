"""`/stats`: Envoy's names, its text and its JSON."""

import json
from types import SimpleNamespace
from typing import Any

from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.observe.prometheus import render
from pymesh_proxy.observe.stats import Selection, discovery_subjects, reset, select, subjects, to_json, to_text
from pymesh_proxy.upstream.dns_cache import DnsCaches
from pymesh_proxy.upstream.dns_config import DnsCacheConfig


def everything(runtime: Any) -> dict[str, Any]:
    return dict(select(subjects(runtime), Selection()))


def test_names_are_envoys(make: Any) -> None:
    runtime = make.runtime(
        clusters=[make.cluster("outbound|80||shop", counters={"upstream_rq_2xx": 4})],
        listeners=[make.listener("in", host="10.0.0.1", port=80)],
        all_http_stats=[HttpStats(prefix="ingress")],
    )
    runtime.listeners[0].scopes[0].add(make.endpoint())
    found = everything(runtime)
    assert found["cluster.outbound|80||shop.upstream_rq_2xx"] == 4
    assert found["http.ingress.downstream_rq_total"] == 0
    assert found["listener.10.0.0.1_80.downstream_cx_total"] == 1
    assert found["listener.10.0.0.1_80.downstream_cx_active"] == 1
    assert found["cluster_manager.active_clusters"] == 1
    assert found["listener_manager.total_listeners_active"] == 1


def test_an_alternative_stat_name_replaces_the_clusters(make: Any) -> None:
    assert "cluster.short.membership_total" in everything(make.runtime(clusters=[make.cluster("long", alt_stat_name="short")]))


def test_clusters_that_share_a_name_are_counted_together(make: Any) -> None:
    clusters = [make.cluster(name, counters={"upstream_rq_total": 3}, alt_stat_name="shop") for name in ("v1", "v2")]
    chosen = [pair for pair in select(subjects(make.runtime(clusters=clusters)), Selection()) if pair[0].endswith("upstream_rq_total")]
    assert chosen == [("cluster.shop.upstream_rq_total", 6)]


def test_discovery_is_counted_under_envoys_names() -> None:
    status = SimpleNamespace(update_success=2, update_rejected=1, version_text="v7", last_error="why")
    discovery: Any = SimpleNamespace(
        control_plane=SimpleNamespace(connected_state=1, identifier="istiod-1"),
        types={"cds": status, "lds": status},
        warming_clusters=0,
        warming_listeners=3,
    )
    found = dict(select(discovery_subjects(discovery), Selection()))
    assert found == {
        "control_plane.connected_state": 1, "control_plane.identifier": "istiod-1",
        "cluster_manager.warming_clusters": 0, "listener_manager.total_listeners_warming": 3,
        "cluster_manager.cds.update_success": 2, "cluster_manager.cds.update_rejected": 1,
        "cluster_manager.cds.version_text": "v7", "cluster_manager.cds.last_error": "why",
        "listener_manager.lds.update_success": 2, "listener_manager.lds.update_rejected": 1,
        "listener_manager.lds.version_text": "v7", "listener_manager.lds.last_error": "why",
    }  # fmt: skip


def test_text_comes_first_and_is_quoted() -> None:
    assert to_text([("a.version_text", "v1"), ("b", 2)]) == 'a.version_text: "v1"\nb: 2\n'


def test_json_has_envoys_shape() -> None:
    assert json.loads(to_json([("a", 1), ("b", "x")])) == {"stats": [{"name": "a", "value": 1}, {"name": "b", "value": "x"}]}


def test_a_selection_narrows_by_name_use_and_kind(make: Any) -> None:
    runtime = make.runtime(clusters=[make.cluster("c", counters={"upstream_cx_total": 5}, connections=1)])
    named = dict(select(subjects(runtime), Selection(matches=lambda name: "upstream_rq" in name)))
    assert named["cluster.c.upstream_rq_total"] == 0
    assert "cluster.c.upstream_cx_total" not in named
    assert ("cluster.c.upstream_rq_total", 0) not in select(subjects(runtime), Selection(used_only=True))
    gauges = dict(select(subjects(runtime), Selection(kind="Gauges", matches=lambda name: "upstream" in name)))
    assert "cluster.c.upstream_cx_active" in gauges
    assert "cluster.c.upstream_cx_total" not in gauges


def test_a_dns_cache_counts_under_its_name(make: Any) -> None:
    cache = DnsCaches().of(DnsCacheConfig(name="main", max_pending=7))
    cache.counts.host_added = cache.counts.num_hosts = 2
    runtime = make.runtime(dns_caches=[cache])
    found = everything(runtime)
    assert found["dns_cache.main.host_added"] == found["dns_cache.main.num_hosts"] == 2
    assert found["dns_cache.main.circuit_breakers.rq_pending_remaining"] == 7
    assert b"# TYPE envoy_dns_cache_main_num_hosts gauge\nenvoy_dns_cache_main_num_hosts{} 2" in render(runtime)
    reset(runtime)
    assert (cache.counts.host_added, cache.counts.num_hosts) == (0, 2)
