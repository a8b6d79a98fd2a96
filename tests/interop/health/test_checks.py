"""Active health checks by a real Envoy and by ours, of the same endpoints: what is asked, and what is made of the answers."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from pymesh.local.ports import HOST, FreePorts
from tests.interop.connections.twins import Twin, twins
from tests.interop.health.hosts import Admin, Host, serving
from tests.waiting import eventually

_QUICK = "timeout: 2s, interval: 0.1s, no_traffic_interval: 0.1s, unhealthy_threshold: 2, healthy_threshold: 2"

CHECKS = {
    "plain": f"{_QUICK}, http_health_check: {{path: /check}}",
    "ranges": f"{_QUICK}, http_health_check: {{path: /check, host: h.example, method: HEAD, expected_statuses: [{{start: 200, end: 300}}],"
    " retriable_statuses: [{start: 500, end: 504}], request_headers_to_add: [{header: {key: x-a, value: b}}],"
    " request_headers_to_remove: [user-agent]}",
    "named": f"{_QUICK}, http_health_check: {{path: /, service_name_matcher: {{prefix: up}}}}",
    "body": f'{_QUICK}, http_health_check: {{path: /, receive: [{{text: "6f"}}, {{text: "6b"}}]}}',
    "once": f"{_QUICK}, reuse_connection: false, http_health_check: {{path: /}}",
    "tcp": f"{_QUICK}, tcp_health_check: {{}}",
    "talk": f'{_QUICK}, tcp_health_check: {{send: {{text: "474554202f20485454502f312e310d0a0d0a"}},'
    ' receive: [{text: "48545450"}, {text: "6f6b"}]}',
    "gone": f"{_QUICK}, tcp_health_check: {{}}",
    "slow": f"{_QUICK.replace('2s', '0.2s')}, http_health_check: {{path: /}}",
    "elsewhere": f"{_QUICK}, http_health_check: {{path: /}}",
    "unchecked": f"{_QUICK}, http_health_check: {{path: /}}",
    "traffic": f"{_QUICK}, http_health_check: {{path: /}}",
    "grpc": f"{_QUICK}, grpc_health_check: {{service_name: shop, authority: g.example,"
    " initial_metadata: [{header: {key: x-m, value: told}}]}",
    "sick": f"{_QUICK}, grpc_health_check: {{service_name: other}}",
    "http2": f"{_QUICK}, http_health_check: {{path: /direct, codec_client_type: HTTP2}}",
}

_OWN = {
    "elsewhere": "health_check_config: {port_value: $plain, hostname: own.example}",
    "unchecked": "health_check_config: {disable_active_health_check: true}",
}

_HTTP2 = """
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}"""


def _cluster(name: str) -> str:
    own = f", {_OWN[name]}" if name in _OWN else ""
    port = "WEB" if name == "http2" else name
    return f"""
  - name: {name}
    type: STATIC
    connect_timeout: 1s
    common_lb_config: {{update_merge_window: 0s}}
    health_checks: [{{{CHECKS[name]}}}]{_HTTP2 if name in ("grpc", "sick", "http2") else ""}
    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [
      {{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: ${port}}}}}{own}}}}}]}}]}}"""


BOOTSTRAP = (
    """
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
          http_filters:
          - {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /direct}
                direct_response: {status: 200}
              - match: {prefix: /}
                route: {cluster_header: x-cluster}
  clusters:"""
    + "".join(map(_cluster, CHECKS))
    + "\n"
)

SICK = "/failed_active_hc"

FIRST = dict.fromkeys(CHECKS, "healthy") | {"named": SICK, "gone": SICK, "sick": SICK, "slow": f"{SICK}/active_hc_timeout"}
"""What comes of the first rounds, with hosts that answer 200."""

ASKED = {
    "plain": "GET /check HTTP/1.1\r\nhost: plain\r\nuser-agent: Envoy/HC\r\n\r\n",
    "ranges": "HEAD /check HTTP/1.1\r\nhost: h.example\r\nx-a: b\r\n\r\n",
    "talk": "GET / HTTP/1.1\r\n\r\n",
}

STEPS = (
    ("named", "200 x-envoy-upstream-healthchecked-cluster: upper", "healthy"),
    ("plain", "503", SICK),
    ("plain", "200", "healthy"),
    ("plain", "200 x-envoy-degraded: 1", "/degraded_active_hc"),
    ("plain", "200 x-envoy-immediate-health-check-fail: 1", "healthy"),
    ("plain", "503 x-envoy-immediate-health-check-fail: 1", f"{SICK}/excluded_via_immediate_hc_fail"),
    ("plain", "200", "healthy"),
    ("plain", "reset", SICK),
    ("ranges", "500", SICK),
    ("ranges", "299", "healthy"),
    ("ranges", "404", SICK),
    ("body", "hang", f"{SICK}/active_hc_timeout"),
    ("talk", "reset", SICK),
    ("slow", "200", "healthy"),
)
"""What a cluster's host does from then on, and what both make of it."""


@dataclass
class World:
    """Both proxies, and the hosts."""

    twins: tuple[Twin, Twin]
    admins: tuple[Admin, Admin]
    hosts: dict[str, Host]
    calls: list[dict[str, str]]
    """Metadata of the calls that the gRPC server got, with their request."""

    async def until(self, cluster: str, flags: str) -> None:
        """Wait until both say this of the cluster's endpoint."""

        async def look() -> list[str]:
            return [next(iter((await admin.flags(cluster)).values())) for admin in self.admins]

        await eventually(look, lambda found: found == [flags, flags])


def _grpc_server(calls: list[dict[str, str]]) -> tuple[grpc.Server, int]:
    """grpc.health.v1's Check, which knows the service `shop` alone."""

    def check(request: bytes, context: Any) -> bytes:
        calls.append({**dict(context.invocation_metadata()), "request": request.hex()})
        return b"\x08\x01" if request.endswith(b"shop") else b"\x08\x02"

    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})])
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    return server, port


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    hosts = {name: Host() for name in CHECKS}
    hosts["slow"].act = "hang"
    calls: list[dict[str, str]] = []
    server, hosts["grpc"].port = _grpc_server(calls)
    hosts["sick"].port, hosts["gone"].port = hosts["grpc"].port, FreePorts().take()
    alive = [host for host in hosts.values() if not host.port]
    try:
        async with serving(*alive), aiohttp.ClientSession() as session:
            known = {name: host.port for name, host in hosts.items()}
            async with twins(folder, BOOTSTRAP, "WEB", **known) as both:
                pair = (both.envoy, both.ours)
                yield World(pair, (Admin(both.envoy, session), Admin(both.ours, session)), hosts, calls)
    finally:
        server.stop(None)


async def test_both_make_the_same_of_the_same_answers(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for cluster, flags in FIRST.items():
            await world.until(cluster, flags)
        for cluster, head in ASKED.items():
            wanted = {head, head.replace("host: plain", "host: own.example").replace("/check", "/")} if cluster == "plain" else {head}
            assert set(world.hosts[cluster].heads) == wanted, cluster
        assert not world.hosts["unchecked"].connections
        assert not world.hosts["elsewhere"].connections, "its checks go to another port"
        assert world.hosts["plain"].connections <= 4, "each keeps its connection, and two check here"
        assert world.hosts["once"].connections >= len(world.hosts["once"].heads) - 2
        for cluster, act, flags in STEPS:
            world.hosts[cluster].act = act
            await world.until(cluster, flags)
        await _passive(world)
        _grpc_calls(world)
        await _counters(world)


async def _passive(world: World) -> None:
    """An answer to a client can say that the endpoint wants no more; the next checks find out."""
    world.hosts["traffic"].act = "200 x-envoy-immediate-health-check-fail: 1"
    async with aiohttp.ClientSession() as session:
        for twin, admin in zip(world.twins, world.admins, strict=True):
            async with session.get(f"http://{HOST}:{twin.ports['WEB']}/", headers={"x-cluster": "traffic"}) as answer:
                assert answer.status == 200
            failures: Callable[[], Any] = lambda admin=admin: admin.stats("traffic", "health_check")  # noqa: E731
            await eventually(failures, lambda found: found.get("passive_failure") == 1)
    await world.until("traffic", "healthy")


def _grpc_calls(world: World) -> None:
    ours = {(call.get("x-m"), call["user-agent"], call["request"]) for call in world.calls}
    assert ours == {("told", "Envoy/HC", b"\x0a\x04shop".hex()), (None, "Envoy/HC", b"\x0a\x05other".hex())}


async def _counters(world: World) -> None:
    """The same names, and what each check counts as."""
    envoys, ours = [await admin.names("named", "health_check") for admin in world.admins]
    assert envoys == ours
    for admin in world.admins:
        found = await admin.stats("gone", "health_check")
        assert abs(found["attempt"] - found["network_failure"]) <= 1
        assert found["failure"] == found["network_failure"]
        found = await admin.stats("sick", "health_check")
        assert "network_failure" not in found
        assert found["failure"] > 1
        assert (await admin.stats("tcp", "health_check"))["healthy"] == 1
