"""The commands of the admin interface, as functions from facts to answers."""

import json
import logging
from typing import Any

import pytest
from google.protobuf import json_format
from prometheus_client.parser import text_string_to_metric_families

from pymesh.xds import proto
from pymesh_proxy.admin.facts import BadQuery, Facts
from pymesh_proxy.drain import Life, Phase
from pymesh_proxy.upstream.config import Health


@pytest.mark.parametrize(
    ("phase", "status", "text"),
    [
        (Phase.PRE_INITIALIZING, 503, "PRE_INITIALIZING\n"),
        (Phase.INITIALIZING, 503, "INITIALIZING\n"),
        (Phase.LIVE, 200, "LIVE\n"),
        (Phase.DRAINING, 503, "DRAINING\n"),
        (Phase.STOPPED, 503, "DRAINING\n"),
    ],
)
async def test_ready_tells_the_phase(ask: Any, facts: Facts, phase: Phase, status: int, text: str) -> None:
    facts.life = Life("latch")
    facts.life.phase = phase
    answer = await ask("/ready")
    assert (answer.status, answer.body) == (status, text)


async def test_a_failed_health_check_looks_like_draining_until_it_is_taken_back(ask: Any) -> None:
    assert (await ask("/healthcheck/fail")).body == "OK\n"
    assert (await ask("/ready")).status == 503
    assert json.loads((await ask("/server_info")).body)["state"] == "DRAINING"
    await ask("/healthcheck/ok")
    assert (await ask("/ready")).status == 200


async def test_server_info_tells_the_state_that_is_the_zero_of_its_enum(ask: Any) -> None:
    assert json.loads((await ask("/server_info")).body)["state"] == "LIVE"


async def test_server_info_parses_as_envoys_own_message(ask: Any) -> None:
    info = json_format.Parse((await ask("/server_info")).body, proto.server_info.ServerInfo())
    assert info.node.cluster == "shop.prod"
    assert info.command_line_options.concurrency == 2
    assert proto.server_info.ServerInfo.State.Name(info.state) == "LIVE"
    assert info.version.count("/") == 4


async def test_clusters_are_listed_host_by_host(ask: Any, facts: Facts) -> None:
    facts.runtime.clusters.get("outbound|80||shop").endpoints[0].rq_total = 4  # type: ignore[union-attr]
    lines = (await ask("/clusters")).body.splitlines()
    assert "outbound|80||shop::default_priority::max_connections::1024" in lines
    assert "outbound|80||shop::added_via_api::true" in lines
    assert "static::added_via_api::false" in lines
    assert "outbound|80||shop::10.0.0.5:80::rq_total::4" in lines
    assert "outbound|80||shop::10.0.0.5:80::health_flags::healthy" in lines
    assert "outbound|80||shop::10.0.0.6:80::health_flags::/failed_eds_health" in lines
    assert "outbound|80||shop::10.0.0.5:80::weight::3" in lines
    assert "outbound|80||shop::10.0.0.5:80::region::r" in lines


async def test_clusters_in_json_parse_as_envoys_own_message(ask: Any) -> None:
    clusters = json_format.Parse((await ask("/clusters", format="json", filter="^outbound")).body, proto.admin_clusters.Clusters())
    (status,) = clusters.cluster_statuses
    assert status.name == "outbound|80||shop"
    assert [host.address.socket_address.address for host in status.host_statuses] == ["10.0.0.5", "10.0.0.6"]
    assert status.host_statuses[1].health_status.eds_health_status == Health.UNHEALTHY.value
    assert status.host_statuses[0].health_status.eds_health_status == Health.HEALTHY.value
    assert status.circuit_breakers.thresholds[0].max_requests.value == 1024


async def test_listeners_are_listed_with_their_addresses(ask: Any) -> None:
    assert (await ask("/listeners")).body == "0.0.0.0_80::0.0.0.0:80\n"
    found = json_format.Parse((await ask("/listeners", format="json")).body, proto.admin_listeners.Listeners())
    assert found.listener_statuses[0].local_address.socket_address.port_value == 80


async def test_stats_hold_the_server_the_control_plane_and_the_traffic(ask: Any) -> None:
    text = (await ask("/stats")).body
    assert 'control_plane.identifier: "control-1"\n' in text
    assert "server.live: 1\n" in text
    assert "http.out.downstream_rq_total: 0\n" in text
    assert 'cluster_manager.cds.version_text: "v7"\n' in text


async def test_a_proxy_without_a_control_plane_says_nothing_of_one(ask: Any, facts: Facts) -> None:
    facts.bootstrap.ClearField("dynamic_resources")
    assert "control_plane" not in (await ask("/stats")).body


async def test_stats_are_filtered(ask: Any) -> None:
    text = (await ask("/stats", filter=r"^server\.(live|state)$")).body
    assert text == "server.live: 1\nserver.state: 0\n"
    assert "server.live" not in (await ask("/stats", filter="server", invert_filter="")).body
    assert "server.state" not in (await ask("/stats", usedonly="")).body
    names = [stat["name"] for stat in json.loads((await ask("/stats", format="json", type="TextReadouts", usedonly="")).body)["stats"]]
    assert "control_plane.identifier" in names
    assert "server.live" not in names


async def test_prometheus_is_the_same_from_both_paths_and_parses(ask: Any) -> None:
    answer = await ask("/stats/prometheus")
    families = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert {"istio_build", "envoy_server_live", "envoy_cluster_membership_healthy", "envoy_control_plane_connected_state"} <= families
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    other = await ask("/stats", format="prometheus")
    assert b"envoy_server_live{} 1\n" in other.body


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/stats", {"filter": "("}),
        ("/stats", {"format": "html"}),
        ("/stats", {"type": "Nonsense"}),
        ("/stats", {"histogram_buckets": "detailed"}),
        ("/stats/prometheus", {"filter": "["}),
        ("/clusters", {"filter": "*"}),
        ("/clusters", {"format": "xml"}),
        ("/listeners", {"format": "xml"}),
        ("/logging", {"level": "loud"}),
        ("/logging", {"no.such.logger": "debug"}),
        ("/logging", {"paths": "pymesh.proxy"}),
    ],
)
async def test_a_bad_question_is_refused(ask: Any, path: str, query: dict[str, str]) -> None:
    with pytest.raises(BadQuery):
        await ask(path, **query)


async def test_counters_are_reset_and_gauges_are_not(ask: Any, facts: Facts) -> None:
    cluster = facts.runtime.clusters.get("static")
    assert cluster is not None
    cluster.upstream_rq_total = 5
    cluster.breaker.requests = 2
    stats = facts.runtime.http_stats("out")
    stats.downstream_rq_2xx, stats.downstream_cx_active = 3, 1
    await ask("/reset_counters")
    assert (cluster.upstream_rq_total, stats.downstream_rq_2xx) == (0, 0)
    assert (cluster.upstream_rq_active, stats.downstream_cx_active) == (2, 1)


async def test_levels_are_shown_and_set_for_one_logger(ask: Any) -> None:
    logger = logging.getLogger("pymesh.test_levels")
    try:
        answer = await ask("/logging", **{"pymesh.test_levels": "error"})
        assert logger.level == logging.ERROR
        assert "  pymesh.test_levels: error\n" in answer.body
        await ask("/logging", paths="pymesh.test_levels:debug")
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(logging.NOTSET)


async def test_nothing_is_set_when_one_part_of_the_wish_is_wrong(ask: Any) -> None:
    logger = logging.getLogger("pymesh.test_levels")
    with pytest.raises(BadQuery):
        await ask("/logging", paths="pymesh.test_levels:debug,pymesh.test_levels:loud")
    assert logger.level == logging.NOTSET


async def test_quitting_reopening_and_draining_reach_the_process(ask: Any, facts: Facts) -> None:
    called: list[str] = []
    facts.stop = lambda: called.append("stop")
    facts.reopen_logs = lambda: called.append("reopen")
    await ask("/quitquitquit")
    await ask("/reopen_logs")
    assert called == ["stop", "reopen"]
    (listener,) = facts.runtime.listeners
    await ask("/drain_listeners", graceful="", inboundonly="")
    assert listener.draining is False
    await ask("/drain_listeners", graceful="")
    assert listener.draining is True


async def test_memory_is_told_in_strings_as_protobuf_tells_large_numbers(ask: Any) -> None:
    found = json.loads((await ask("/memory")).body)
    assert int(found["total_physical_bytes"]) > 0
