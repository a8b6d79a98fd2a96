"""One worker from start to stop, with the real runtime on ports of the system's choice."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pymesh.xds import nds
from pymesh_proxy.assembly import assemble
from pymesh_proxy.check import check
from pymesh_proxy.drain import Phase
from pymesh_proxy.errors import ConfigError, StartupError
from pymesh_proxy.launch import Launch, prepare
from pymesh_proxy.main import parser
from pymesh_proxy.process import Process, validate

LISTENER = """
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: s
          route_config:
            virtual_hosts:
            - {name: v, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""
ADS = """
node: {id: sidecar~1.1.1.1~a.b~b.svc, cluster: c}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: %s
    load_assignment:
      cluster_name: xds
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: /none}}}}]}]
"""


def launch(text: str, *flags: str) -> Launch:
    return prepare(parser().parse_args(["--config-yaml", text, *flags]), {})


def process(text: str, *flags: str) -> Process:
    made = launch(text, *flags)
    assembly = assemble(made.plan, concurrency=1)
    return Process(made, assembly, check(made, assembly))


@contextlib.asynccontextmanager
async def running(made: Process) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.ensure_future(made.run())  # noqa: TID251  awaited by the tests
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for offers no event
            await asyncio.sleep(0)


def port(made: Process) -> int:
    (((_, bound),),) = [listener.bound for listener in made._runtime.listeners]
    return bound


async def test_static_bootstrap_serves_until_it_is_told_to_stop() -> None:
    made = process(LISTENER % 0)
    async with running(made) as done:
        await until(lambda: made.life.ready)
        reader, writer = await asyncio.open_connection("127.0.0.1", port(made))
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        made.stop()
        await done  # the idle connection is closed at once
        writer.close()
    assert made.life.phase is Phase.STOPPED


async def test_second_stop_does_not_wait() -> None:
    made = process(LISTENER % 0, "--drain-time-s", "3600")
    async with running(made) as done:
        await until(lambda: made.life.ready)
        _, writer = await asyncio.open_connection("127.0.0.1", port(made))
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n")  # a request that never ends
        await until(lambda: made._runtime.listeners.active_connections)
        made.stop()
        await until(lambda: made.life.phase is Phase.DRAINING)
        assert not done.done()
        made.stop()
        await done
        writer.close()


def pod(**variables: str) -> Process:
    """A process that gets its bootstrap from the environment."""
    config = "{discoveryAddress: '127.0.0.1:15010'}"
    own = {"POD_NAME": "p", "POD_NAMESPACE": "n", "INSTANCE_IP": "127.0.0.1", "PROXY_CONFIG": config}
    made = prepare(parser().parse_args([]), {**own, **variables})
    assembly = assemble(made.plan, concurrency=1)
    return Process(made, assembly, check(made, assembly))


async def test_who_answers_dns_queries_is_ready_when_it_can(tmp_path: Path) -> None:
    assert repr(pod().life) == "<Life PRE_INITIALIZING waiting for listeners>"
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    made = pod(ISTIO_META_DNS_CAPTURE="true", PYMESH_RESOLV_CONF=str(tmp_path / "resolv.conf"))
    assert repr(made.life) == "<Life PRE_INITIALIZING waiting for listeners, names>"
    await made._take_names(nds.NameTable())
    assert repr(made.life) == "<Life PRE_INITIALIZING waiting for listeners>"


async def test_taken_port_is_a_sentence() -> None:
    first = process(LISTENER % 0)
    async with running(first):
        await until(lambda: first.life.ready)
        second = process(LISTENER % port(first))
        with pytest.raises(StartupError, match=r"listener l: cannot bind 127\.0\.0\.1:\d+: Address already in use"):
            await second.run()


async def test_control_plane_that_is_away_leaves_the_proxy_unready() -> None:
    made = process(ADS % "xds")
    async with running(made):
        await until(lambda: made.status.control_plane.last_failure)
        assert made.life.phase is Phase.PRE_INITIALIZING
        assert made.status.control_plane.last_failure == "cannot connect"


async def test_ads_cluster_that_is_missing_is_told_before_anything_opens() -> None:
    with pytest.raises(ConfigError, match="cluster 'xds' is not a static cluster"):
        process(ADS % "other")


SECRET = """
static_resources:
  clusters:
  - name: a
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {tls_certificate_sds_secret_configs: [%s]}
"""


async def test_reference_into_nowhere_is_told_before_anything_opens() -> None:
    with pytest.raises(ConfigError, match=r"static_resources\.clusters\[0\]: there is no secret 'x', and no source"):
        process(SECRET % "{name: x}")


async def test_reference_to_ads_without_ads_is_told() -> None:
    with pytest.raises(ConfigError, match="'x' is to come over ADS, and there is no ads_config"):
        process(SECRET % "{name: x, sds_config: {ads: {}, resource_api_version: V3}}")


async def test_every_bad_resource_is_told_with_its_path() -> None:
    text = "static_resources: {clusters: [{name: a, lb_policy: CLUSTER_PROVIDED}, {name: b, lb_policy: CLUSTER_PROVIDED}]}"
    with pytest.raises(ConfigError) as caught:
        await validate(launch(text))
    assert [problem.path for problem in caught.value.problems] == [
        "static_resources.clusters[0].lb_policy",
        "static_resources.clusters[1].lb_policy",
    ]


LOG = """
    access_log:
    - name: file
      filter: {response_flag_filter: {flags: [NR]}}
      typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: %s}
"""


async def test_validating_makes_no_access_log(tmp_path: Path) -> None:
    await validate(launch(LISTENER % 0 + LOG % (tmp_path / "log")))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("path", ["none/log", "."])
async def test_validating_tells_of_an_access_log_that_could_not_be_made(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="cannot open access log"):
        await validate(launch(LISTENER % 0 + LOG % (tmp_path / path)))


async def test_parent_that_is_gone_stops_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, parents = os.pipe()
    made = process(LISTENER % 0)
    monkeypatch.setattr(sys, "stdin", os.fdopen(ours))
    monkeypatch.setattr(Process, "_open_admin", lambda self, stack: asyncio.sleep(0))
    object.__setattr__(made.launch, "worker_socket", tmp_path / "admin")
    async with running(made) as done:
        await until(lambda: made.life.ready)
        os.close(parents)
        await done
    assert made.life.phase is Phase.STOPPED
