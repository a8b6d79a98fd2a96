"""Several workers' answers as one."""

import json

from prometheus_client.parser import text_string_to_metric_families

from pymesh_proxy.observe import merge

ONE = b"""# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="a b"} 3
# TYPE envoy_cluster_membership_total gauge
envoy_cluster_membership_total{envoy_cluster_name="a b"} 2
# TYPE istio_build gauge
istio_build{component="proxy",tag="0"} 1
"""
TWO = b"""# TYPE envoy_cluster_membership_total gauge
envoy_cluster_membership_total{envoy_cluster_name="a b"} 2
# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="a b"} 4
envoy_cluster_upstream_rq_total{envoy_cluster_name="only\xe2\x80\xa8two"} 1
# TYPE istio_build gauge
istio_build{component="proxy",tag="0"} 1
"""


def test_counters_are_added_and_shared_truths_are_not() -> None:
    families = {family.name: family for family in text_string_to_metric_families(merge.prometheus([ONE, TWO]).decode())}
    assert [sample.value for sample in families["envoy_cluster_upstream_rq"].samples] == [7, 1]
    assert [sample.value for sample in families["envoy_cluster_membership_total"].samples] == [2]
    assert [sample.value for sample in families["istio_build"].samples] == [1]


def test_integers_stay_integers() -> None:
    assert b'{envoy_cluster_name="a b"} 7\n' in merge.prometheus([ONE, TWO])


def test_nothing_merged_is_nothing() -> None:
    assert merge.prometheus([]) == b""


def test_stats_are_added_in_text_and_json() -> None:
    text = merge.stats_text(['v: "x: 1"\nhttp.p.rq_total: 1\nserver.uptime: 9\n', 'v: "y"\nhttp.p.rq_total: 2\nserver.uptime: 8\n'])
    assert text == 'v: "x: 1"\nhttp.p.rq_total: 3\nserver.uptime: 9\n'
    answers = [json.dumps({"stats": [{"name": "a.rq", "value": value}, {"name": "v", "value": "x"}]}) for value in (1, 2)]
    assert json.loads(merge.stats_json(answers)) == {"stats": [{"name": "a.rq", "value": 3}, {"name": "v", "value": "x"}]}


def test_hosts_counters_are_added_and_their_facts_kept() -> None:
    text = "c::default_priority::max_requests::5\nc::10.0.0.1:80::rq_total::2\nc::10.0.0.1:80::weight::3\n"
    assert merge.clusters_text([text, text]) == (
        "c::default_priority::max_requests::5\nc::10.0.0.1:80::rq_total::4\nc::10.0.0.1:80::weight::3\n"
    )


def test_hosts_counters_are_added_in_json() -> None:
    def answer(*stats: tuple[str, str]) -> str:
        host = {"address": {"socket_address": {"address": "10.0.0.1"}}, "stats": [{"name": name, "value": value} for name, value in stats]}
        return json.dumps({"cluster_statuses": [{"name": "c", "host_statuses": [host]}]})

    merged = json.loads(merge.clusters_json([answer(("rq_total", "2")), answer(("rq_total", "3"), ("cx_total", "1"))]))
    assert merged["cluster_statuses"][0]["host_statuses"][0]["stats"] == [
        {"name": "rq_total", "value": "5"},
        {"name": "cx_total", "value": "1"},
    ]


def test_a_proxy_is_what_its_worst_worker_is() -> None:
    assert merge.ready([(200, "LIVE\n"), (503, "INITIALIZING\n")]) == (503, "INITIALIZING\n")
    assert merge.ready([(200, "LIVE\n"), (200, "LIVE\n")]) == (200, "LIVE\n")
    answers = [
        json.dumps({"state": state, "uptime_current_epoch": up, "uptime_all_epochs": up})
        for state, up in (("LIVE", "9s"), ("DRAINING", "10s"))
    ]
    assert json.loads(merge.server_info(answers)) == {"state": "DRAINING", "uptime_current_epoch": "10s", "uptime_all_epochs": "10s"}


def test_of_the_workers_certificates_the_one_that_expires_first_counts() -> None:
    name = "istio_agent_cert_expiry_seconds"
    texts = [f'# TYPE {name} gauge\n{name}{{resource_name="default"}} {left}\n'.encode() for left in (9, 7)]
    assert merge.prometheus(texts).endswith(b'{resource_name="default"} 7\n')
