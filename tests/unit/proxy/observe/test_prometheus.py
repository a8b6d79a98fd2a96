"""Prometheus' text format, read back by prometheus-client's own parser."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pymesh_certs.authority import Authority
from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.observe.istio import IstioStats
from pymesh_proxy.observe.peers import Peer
from pymesh_proxy.observe.prometheus import render
from pymesh_proxy.observe.stats import Selection
from pymesh_proxy.tcp.session import Phase
from pymesh_proxy.tls.config import SecretValue
from pymesh_proxy.upstream.config import Health

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.25)


def samples(text: bytes) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def named(text: bytes, name: str) -> list[tuple[dict[str, str], float]]:
    return [(dict(labels), value) for (found, labels), value in samples(text).items() if found == name]


def test_an_empty_proxy_still_says_which_build_it_is(make: Any) -> None:
    ((labels, value),) = named(render(make.runtime()), "istio_build")
    assert labels["component"] == "proxy"
    assert value == 1


def test_a_clusters_counters_carry_its_name_as_a_tag(make: Any) -> None:
    cluster = make.cluster("outbound|80||shop", counters={"upstream_rq_total": 3}, connections=1)
    text = render(make.runtime(clusters=[cluster]))
    assert named(text, "envoy_cluster_upstream_rq_total") == [({"envoy_cluster_name": "outbound|80||shop"}, 3)]
    assert b"# TYPE envoy_cluster_upstream_rq_total counter\n" in text
    assert b"# TYPE envoy_cluster_upstream_cx_active gauge\n" in text


def test_code_classes_become_a_tag_as_in_envoy(make: Any) -> None:
    text = render(make.runtime(all_http_stats=[HttpStats(prefix="ingress", downstream_rq_2xx=5)]))
    assert b'envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress"} 5\n' in text


def test_members_are_counted_by_health(make: Any) -> None:
    cluster = make.cluster("c", endpoints=[make.endpoint(), make.endpoint(health=Health.UNHEALTHY), make.endpoint(health=Health.DEGRADED)])
    text = render(make.runtime(clusters=[cluster]))
    assert [named(text, f"envoy_cluster_membership_{name}")[0][1] for name in ("total", "healthy", "degraded")] == [3, 1, 1]


def test_an_open_breaker_is_seen(make: Any) -> None:
    cluster = make.cluster("c", requests=1024, connections=3)
    text = render(make.runtime(clusters=[cluster]))
    assert named(text, "envoy_cluster_circuit_breakers_default_rq_open")[0][1] == 1
    assert named(text, "envoy_cluster_circuit_breakers_default_cx_open")[0][1] == 0


def test_istios_metrics_are_read_back_whole(make: Any) -> None:
    stats = IstioStats(Peer(workload="me"), "OUTBOUND")
    for size in (3, 30, 10**8):
        stats.http(make.exchange(request_wire_bytes=size))
    stats.tcp(make.session(bytes_sent=9, phase=Phase.CLOSED))
    text = render(make.runtime(), [stats])
    ((labels, value),) = named(text, "istio_requests_total")
    assert (len(labels), labels["source_workload"], value) == (25, "me", 3)
    buckets = {labels["le"]: value for labels, value in named(text, "istio_request_bytes_bucket")}
    assert (buckets["1"], buckets["5"], buckets["50"], buckets["3600000"], buckets["+Inf"]) == (0, 1, 2, 2, 3)
    assert named(text, "istio_request_bytes_sum")[0][1] == 10**8 + 33
    assert named(text, "istio_request_duration_milliseconds_count")[0][1] == 3
    ((labels, value),) = named(text, "istio_tcp_sent_bytes_total")
    assert (len(labels), value) == (23, 9)


def test_buckets_are_spelled_as_envoy_spells_them(make: Any) -> None:
    stats = IstioStats(Peer(), "OUTBOUND")
    stats.http(make.exchange())
    found = [labels["le"] for labels, _ in named(render(make.runtime(), [stats]), "istio_response_bytes_bucket")]
    assert found == [
        "0.5",
        "1",
        "5",
        "10",
        "25",
        "50",
        "100",
        "250",
        "500",
        "1000",
        "2500",
        "5000",
        "10000",
        "30000",
        "60000",
        "300000",
        "600000",
        "1800000",
        "3600000",
        "+Inf",
    ]


@pytest.mark.parametrize("host", [b'a"b', b"a\\b", b"a\nb{}", b"\xff", "é".encode(), b"a\rb", "a\u2028b".encode(), b'x"} 5\ny{z="'])
def test_a_label_from_the_wire_survives_without_breaking_the_format(make: Any, host: bytes) -> None:
    stats = IstioStats(Peer(), "OUTBOUND")
    exchange = make.exchange(cluster_name="PassthroughCluster")
    exchange.head.authority = host
    stats.http(exchange)
    ((labels, value),) = named(render(make.runtime(), [stats]), "istio_requests_total")
    assert labels["destination_service"] == host.decode("utf-8", "backslashreplace")
    assert value == 1


def test_a_selection_leaves_out_what_was_not_asked_for(make: Any) -> None:
    cluster = make.cluster("c", counters={"upstream_rq_total": 3, "upstream_cx_total": 0})
    runtime = make.runtime(clusters=[cluster])
    assert b"upstream_cx_total" not in render(runtime, selection=Selection(used_only=True))
    text = render(runtime, selection=Selection(matches=lambda name: name.endswith("cx_total")))
    assert b"envoy_cluster_upstream_cx_total" in text
    assert b"envoy_cluster_upstream_rq_total" not in text


def test_an_overflow_of_label_combinations_is_told(make: Any) -> None:
    stats = IstioStats(Peer(), "INBOUND", series_limit=1)
    for status in (200, 500):
        stats.http(make.exchange(status=status))
    found = {labels["kind"]: value for labels, value in named(render(make.runtime(), [stats]), "pymesh_istio_series_overflow_total")}
    assert found == {"http": 1, "tcp": 0}


@pytest.mark.parametrize(("later", "left"), [(timedelta(0), 3600), (timedelta(hours=2), -3600)])
def test_a_certificate_from_sds_tells_how_long_it_is_valid(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: timedelta, left: int
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    chain, key = Authority.load_or_create(tmp_path, "cluster.local").issue_server(["a"], [], ttl=timedelta(hours=1))
    secrets = [SecretValue(name="default", chain=chain, key=key), SecretValue(name="ROOTCA", trusted_ca=chain)]
    monkeypatch.setattr(time, "time", lambda: (now + later).timestamp())
    ((labels, value),) = named(render(make.runtime(secrets=secrets)), "istio_agent_cert_expiry_seconds")
    assert labels == {"resource_name": "default"}
    assert value == pytest.approx(left, abs=2)


def test_clusters_that_share_a_name_in_statistics_have_one_sample(make: Any) -> None:
    clusters = [make.cluster(name, counters={"upstream_rq_total": 3}, alt_stat_name="shop") for name in ("v1", "v2")]
    text = render(make.runtime(clusters=clusters)).decode()
    assert text.count("envoy_cluster_upstream_rq_total{") == 1
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="shop"} 6\n' in text
