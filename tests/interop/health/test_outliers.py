"""Outlier detection in a real Envoy and in ours: which endpoint goes after which answers, when it is back, what the counters say."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from pymesh.local.ports import HOST, FreePorts
from tests.interop.connections.twins import Twin, twins
from tests.interop.health.hosts import Admin, Host, serving
from tests.waiting import eventually

_ALL = "interval: 1000s, max_ejection_percent: 100"

POLICIES = {
    "fivexx": f"{_ALL}, consecutive_5xx: 3",
    "gateway": f"{_ALL}, consecutive_5xx: 100, consecutive_gateway_failure: 2, enforcing_consecutive_gateway_failure: 100",
    "unenforced": f"{_ALL}, consecutive_5xx: 2, enforcing_consecutive_5xx: 0",
    "resets": f"{_ALL}, consecutive_5xx: 3",
    "halves": f"{_ALL}, consecutive_5xx: 3",
    "slow": f"{_ALL}, consecutive_5xx: 3",
    "refused": f"{_ALL}, consecutive_5xx: 3",
    "grpc": f"{_ALL}, consecutive_5xx: 3",
    "split": f"{_ALL}, consecutive_5xx: 3, split_external_local_origin_errors: true, consecutive_local_origin_failure: 2",
    "dead": f"{_ALL}, consecutive_5xx: 1, split_external_local_origin_errors: true, consecutive_local_origin_failure: 2",
    **dict.fromkeys(("named", "forgiven", "headers", "never", "calls", "not_found", "named_resets"), f"{_ALL}, consecutive_5xx: 3"),
    **dict.fromkeys(("gateways", "no_gateways"), f"{_ALL}, consecutive_5xx: 100, consecutive_gateway_failure: 2,"
    " enforcing_consecutive_gateway_failure: 100"),
    "tcp": f"{_ALL}, consecutive_5xx: 2",
    "full": f"{_ALL}, consecutive_5xx: 2",
    "default": "interval: 1000s, consecutive_5xx: 2",
    "one": "interval: 1000s, consecutive_5xx: 2, always_eject_one_host: true",
    "back": "interval: 0.3s, base_ejection_time: 0.5s, max_ejection_percent: 100, consecutive_5xx: 2",
    "rate": "interval: 0.5s, max_ejection_percent: 100, consecutive_5xx: 1000, success_rate_request_volume: 4,"
    " success_rate_stdev_factor: 1500, failure_percentage_request_volume: 1000000",
    "percentage": "interval: 0.5s, max_ejection_percent: 100, consecutive_5xx: 1000, success_rate_minimum_hosts: 100,"
    " failure_percentage_minimum_hosts: 3, failure_percentage_request_volume: 4, failure_percentage_threshold: 50,"
    " enforcing_failure_percentage: 100",
}

HOSTS = dict.fromkeys(POLICIES, 3) | {"rate": 6}
"""How many endpoints each cluster has. It is always the second that misbehaves."""

_429 = "http_response_headers_match: {headers: [{name: ':status', string_match: {exact: '429'}}]}"
_502 = _429.replace("429", "502")
_NOT_FOUND = "http_response_headers_match: {headers: [{name: grpc-status, string_match: {exact: '5'}}]}"
_BAD = "http_response_headers_match: {headers: [{name: x-bad, present_match: true}, {name: ':status', string_match: {exact: '200'}}]}"

ERRORS = {
    "named": f"or_match: {{rules: [{{{_429}}}, {{{_502}}}]}}",
    "forgiven": _429,
    "gateways": f"or_match: {{rules: [{{{_429}}}, {{{_502}}}]}}",
    "no_gateways": f"or_match: {{rules: [{{{_429}}}, {{{_502}}}]}}",
    "headers": f"and_match: {{rules: [{{{_BAD}}}, {{not_match: {{{_429}}}}}]}}",
    "never": "not_match: {any_match: true}",
    "calls": _429,
    "not_found": _NOT_FOUND,
    "named_resets": _429,
}
"""What `error_matcher` says of which answers are errors."""


def _http(name: str) -> str:
    if name not in ERRORS:
        return ""
    return f"""
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http_protocol_options: {{}}}}
        outlier_detection: {{error_matcher: {{{ERRORS[name]}}}}}"""


def _cluster(name: str) -> str:
    addresses = (f"{{address: 127.0.0.1, port_value: ${name}{number}}}" for number in range(HOSTS[name]))
    endpoints = ", ".join(f"{{endpoint: {{address: {{socket_address: {address}}}}}}}" for address in addresses)
    return f"""
  - name: {name}
    type: STATIC
    connect_timeout: 1s
    common_lb_config: {{healthy_panic_threshold: {{value: 0}}, update_merge_window: 0s}}
    outlier_detection: {{{POLICIES[name]}}}{_http(name)}
    circuit_breakers: {{thresholds: [{{max_pending_requests: {0 if name == "full" else 100}}}]}}
    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}"""


BOOTSTRAP = (
    """
cluster_manager: {outlier_detection: {event_log_path: $LOG}}
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: $WEB}}
    filter_chains:
    - filters:
      - name: h
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          delayed_close_timeout: 0.05s
          http_filters:
          - {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster_header: x-cluster, timeout: 0.3s}
  - name: tcp
    address: {socket_address: {address: 127.0.0.1, port_value: $TCP}}
    filter_chains:
    - filters:
      - name: t
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: tcp
  clusters:"""
    + "".join(map(_cluster, POLICIES))
    + "\n"
)


@dataclass(frozen=True)
class Scenario:
    """One endpoint of a cluster misbehaves: what it does, how often the cluster is asked, and what comes of it."""

    cluster: str
    act: str
    seen: int
    """Requests that the endpoint gets; the other ones go elsewhere."""
    counters: dict[str, int]
    """Those of outlier_detection that are not zero; with `ejections_active` the endpoint is out."""
    headers: dict[str, str] = field(default_factory=dict)
    statuses: frozenset[int] = frozenset()
    """Those that clients see, apart from 200; 0 for an answer that broke off."""


def ejected(reason: str, *older: str) -> dict[str, int]:
    names = ("active", f"detected_{reason}", f"enforced_{reason}", "enforced_total", *older)
    return {f"ejections_{name}": 1 for name in names}


def twice(name: str) -> dict[str, int]:
    """Two rows of errors without a consequence."""
    return {f"ejections_{one}": 2 for one in ("consecutive_5xx", "detected_consecutive_5xx", name)}


_FIVEXX = ejected("consecutive_5xx", "consecutive_5xx", "total")
_ASKED = 15
"""Requests a scenario: each of three endpoints gets five."""

SCENARIOS = (
    Scenario("fivexx", "500", 3, _FIVEXX, statuses=frozenset({500})),
    Scenario("gateway", "502", 2, ejected("consecutive_gateway_failure"), statuses=frozenset({502})),
    Scenario("unenforced", "500", 5, twice("total"), statuses=frozenset({500})),
    Scenario("resets", "reset", 3, _FIVEXX, statuses=frozenset({503})),
    Scenario("halves", "half", 5, {}, statuses=frozenset({0})),
    Scenario("slow", "hang", 3, _FIVEXX, statuses=frozenset({504})),
    Scenario("refused", "gone", 0, _FIVEXX, statuses=frozenset({503})),
    Scenario("grpc", "200 grpc-status: 14", 3, _FIVEXX, {"content-type": "application/grpc"}),
    Scenario("split", "reset", 5, {}, statuses=frozenset({503})),
    Scenario("dead", "gone", 0, ejected("consecutive_local_origin_failure"), statuses=frozenset({503})),
    Scenario("full", "200", 0, {}, statuses=frozenset({503})),
    Scenario("default", "500", 5, twice("overflow"), statuses=frozenset({500})),
    Scenario("one", "500", 2, _FIVEXX, statuses=frozenset({500})),
    Scenario("named", "429", 3, _FIVEXX, statuses=frozenset({429})),
    Scenario("forgiven", "500", 5, {}, statuses=frozenset({500})),
    Scenario("gateways", "502", 2, ejected("consecutive_gateway_failure"), statuses=frozenset({502})),
    Scenario("no_gateways", "429", 5, {}, statuses=frozenset({429})),
    Scenario("headers", "200 x-bad: 1", 3, _FIVEXX),
    Scenario("never", "500", 5, {}, statuses=frozenset({500})),
    Scenario("calls", "200 grpc-status: 14", 3, _FIVEXX, {"content-type": "application/grpc"}),
    Scenario("not_found", "200 grpc-status: 5", 5, {}, {"content-type": "application/grpc"}),
    Scenario("named_resets", "reset", 3, _FIVEXX, statuses=frozenset({503})),
)  # fmt: skip
"""What Envoy 1.40 does. Failures that are not told from answers (`split` is off) count for 503 and 504."""


@dataclass
class World:
    """One of the two proxies and the upstreams behind it."""

    twin: Twin
    session: aiohttp.ClientSession
    hosts: dict[str, list[Host]]

    def __post_init__(self) -> None:
        self.admin = Admin(self.twin, self.session)

    async def ask(self, cluster: str, times: int = 1, **headers: str) -> list[int]:
        """Statuses of requests one after the other; 0 for an answer that broke off."""
        return [await self._ask(cluster, headers) for _ in range(times)]

    async def _ask(self, cluster: str, headers: dict[str, str]) -> int:
        url = f"http://{HOST}:{self.twin.ports['WEB']}/"
        try:
            async with self.session.get(url, headers={"x-cluster": cluster, **headers}) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def play(self, scenario: Scenario) -> Scenario:
        """The scenario as it comes out here."""
        hosts = self.hosts[scenario.cluster]
        for host in hosts:
            host.heads.clear()
        hosts[1].act = scenario.act
        answered = await self.ask(scenario.cluster, _ASKED, **scenario.headers)
        counters = await self.admin.stats(scenario.cluster, "outlier_detection")
        wanted = ["healthy", "/failed_outlier_check" if counters.get("ejections_active") else "healthy", "healthy"]
        assert await self.flags(scenario.cluster) == wanted
        others = frozenset(answered) - {200}
        return Scenario(scenario.cluster, scenario.act, len(hosts[1].heads), counters, scenario.headers, others)

    async def flags(self, cluster: str) -> list[str]:
        """In the hosts' order."""
        found = await self.admin.flags(cluster)
        return [found[host.port] for host in self.hosts[cluster]]

    async def until(self, cluster: str, flags: str) -> None:
        """Wait for the second host's flags."""

        async def look() -> list[str]:
            return await self.flags(cluster)

        await eventually(look, lambda found: found[1] == flags)

    async def logged(self, cluster: str, count: int) -> list[dict[str, Any]]:
        """The log's events of a cluster, when there are so many."""

        async def read() -> list[dict[str, Any]]:
            lines = self.twin.log.read_text().splitlines() if self.twin.log.exists() else []
            return [event for event in map(json.loads, lines) if event["cluster_name"] == cluster]

        return await eventually(read, lambda found: len(found) >= count)

    async def events(self, cluster: str, count: int) -> list[dict[str, Any]]:
        """The same without what time makes of them."""
        found = await self.logged(cluster, count)
        assert all(event.pop("timestamp").endswith("Z") for event in found)
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[World, World]]:
    """Envoy's world and ours, with the same upstreams."""
    hosts = {name: [Host() for _ in range(count)] for name, count in HOSTS.items()}
    free = FreePorts()
    for name in ("refused", "dead", "tcp"):
        hosts[name][1].port = free.take()
    alive = [host for name in hosts for host in hosts[name] if not host.port]
    async with serving(*alive), aiohttp.ClientSession() as session:
        known = {f"{name}{number}": host.port for name in hosts for number, host in enumerate(hosts[name])}
        async with twins(folder, BOOTSTRAP, "WEB", "TCP", **known) as both:
            yield World(both.envoy, session, hosts), World(both.ours, session, hosts)


async def test_the_same_endpoints_go_after_the_same_answers(tmp_path: Path) -> None:
    async with running(tmp_path) as worlds:
        for world in worlds:
            assert [await world.play(scenario) for scenario in SCENARIOS] == list(SCENARIOS), world.twin.name
            await _tcp(world)
            await _back(world)
            await _rates(world)


async def _tcp(world: World) -> None:
    """Connections of which only their making is understood."""
    for _ in range(9):
        reader, writer = await asyncio.open_connection(HOST, world.twin.ports["TCP"])
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read(1)
        writer.close()
    assert await world.admin.stats("tcp", "outlier_detection") == _FIVEXX, world.twin.name


async def _back(world: World) -> None:
    """Out for the base time, and in at the next interval; both are logged."""
    bad = world.hosts["back"][1]
    bad.act = "500"
    await world.ask("back", 6)
    bad.act = "200"
    out, back = (datetime.fromisoformat(event["timestamp"]) for event in await world.logged("back", 2))
    assert (back - out).total_seconds() > 0.49
    await world.until("back", "healthy")
    facts = {"type": "CONSECUTIVE_5XX", "cluster_name": "back", "upstream_url": f"127.0.0.1:{bad.port}", "num_ejections": 1}
    assert await world.events("back", 2) == [
        {**facts, "action": "EJECT", "enforced": True, "eject_consecutive_event": {}},
        {**facts, "action": "UNEJECT", "enforced": False, "secs_since_last_action": "0"},
    ]


async def _rates(world: World) -> None:
    """Success rates beside each other, and failures in percent, of an interval."""
    for cluster, counters in (
        ("rate", ejected("success_rate", "success_rate", "total")),
        ("percentage", ejected("failure_percentage")),
    ):
        world.hosts[cluster][1].act = "500"

        async def ask_and_look(cluster: str = cluster) -> list[str]:
            await world.ask(cluster, 36)
            return await world.flags(cluster)

        await eventually(ask_and_look, lambda found: found[1] == "/failed_outlier_check")
        assert await world.admin.stats(cluster, "outlier_detection") == counters, world.twin.name
    lines = [line for line in await world.admin.lines("rate") if "outlier::success_rate" in line]
    event = (await world.events("rate", 1))[0]
    assert event["eject_success_rate_event"] == {
        "host_success_rate": 0,
        "cluster_average_success_rate": 83,
        "cluster_success_rate_ejection_threshold": 27,
    }
    assert len(lines) == 2
