"""Admin paths, debug pages, ports and metrics: what is documented is there, and the other way round."""

import asyncio
import re
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from pymesh.bootstrap.environment import Settings
from pymesh.bootstrap.proxy_config import ProxyConfig
from pymesh.status import StatusPort
from pymesh_certs.authority import Authority
from pymesh_certs.metrics import CaMetrics
from pymesh_control import options
from pymesh_control.metrics import Metrics
from pymesh_control.monitoring import Monitoring
from pymesh_proxy.admin.facts import Facts
from pymesh_proxy.admin.server import COMMANDS
from pymesh_proxy.admin.statistics import process_subjects
from pymesh_proxy.discovery.status import Status
from pymesh_proxy.dns_proxy.counts import DnsCounts
from pymesh_proxy.drain import Life
from pymesh_proxy.observe.istio import IstioStats
from pymesh_proxy.observe.labels import HTTP_LABELS, TCP_LABELS
from pymesh_proxy.observe.peers import UNKNOWN
from pymesh_proxy.observe.prometheus import render
from pymesh_proxy.runtime import Runtime
from pymesh_proxy.testing import static_cluster
from pymesh_proxy.tls.config import SecretValue

from .pages import ALL, CONFIGURATION, README, code, first_cells, prose, rows, same, section

SIDECAR = {"POD_NAME": "p", "POD_NAMESPACE": "n", "INSTANCE_IP": "127.0.0.1"}
_METRIC = re.compile(r"(istio|envoy|pymesh|pilot|citadel|galley|dns)_[a-z0-9_]+")
_NO_METRIC = re.compile(r"pymesh_(proxy|control|certs)")


def test_the_admin_paths_are_those_documented_with_their_methods() -> None:
    told = {code(path)[0]: method for path, method, _ in rows(section(CONFIGURATION, "Admin paths", "Of a proxy"))}
    assert told == {path: "POST" if command.mutates else "GET" for path, command in COMMANDS.items()}


def test_the_pages_of_the_control_plane_are_those_documented() -> None:
    same(first_cells(section(CONFIGURATION, "Admin paths", "Of the control plane")), control_pages(), "pages of the control plane")


def test_the_paths_of_the_status_port_are_those_documented_with_their_methods() -> None:
    told = {(code(path)[0], method) for path, method, _ in rows(section(CONFIGURATION, "Admin paths", "Of the status port"))}
    assert told == status_paths()


def test_no_page_names_a_path_that_nobody_serves() -> None:
    served = COMMANDS.keys() | control_pages() | {path for path, _ in status_paths()} | {"/dev/stdout", ProxyConfig().binary_path}
    for page in ALL:
        named = {word.partition("?")[0] for word in code(prose(page)) if re.fullmatch(r"/[a-z_/]+(\?\S*)?", word)}
        assert named <= served, f"{page.name} names {sorted(named - served)}"


def test_the_ports_told_are_the_defaults() -> None:
    settings = Settings.from_environ(SIDECAR)
    ours = (settings.proxy.proxy_admin_port, settings.proxy.status_port, settings.health_port, settings.prometheus_port)
    mine = {str(port) for port in (options.XDS.port, options.SECURE_XDS.port, options.MONITORING.port, *ours)}
    dns = Settings.from_environ({**SIDECAR, "ISTIO_META_DNS_CAPTURE": "true"}).dns
    captured = {"15001", "15006", str(dns and dns.listen.port)}
    same([row[0] for row in rows(section(CONFIGURATION, "Ports"))], mine | captured, "ports")
    assert mine <= set(re.findall(r"\b\d{5}\b", section(README, "The commands")))


def test_the_metrics_of_the_control_plane_are_those_documented() -> None:
    same(first_cells(section(CONFIGURATION, "Metrics", "Of the control plane")), control_metrics(), "metrics of the control plane")


async def test_the_metrics_of_a_proxy_are_those_documented(tmp_path: Path) -> None:
    told = first_cells(section(CONFIGURATION, "Metrics", "Of a proxy"))
    same(told, {name for name in proxy_metrics(tmp_path) if not name.startswith("envoy_")}, "metrics of a proxy")


def test_the_labels_of_istios_metrics_are_those_documented() -> None:
    text = section(CONFIGURATION, "Metrics", "Of a proxy").partition("Labels:")[2].partition("\n\n")[0]
    assert tuple(code(text)) == HTTP_LABELS


async def test_no_page_names_a_metric_that_nobody_exports(tmp_path: Path) -> None:
    known = control_metrics() | proxy_metrics(tmp_path)
    for page in ALL:
        named = {word for word in code(prose(page)) if _METRIC.fullmatch(word) and not _NO_METRIC.match(word)}
        assert named <= known, f"{page.name} names {sorted(named - known)}"


def status_paths() -> set[tuple[str, str]]:
    application = StatusPort(Settings.from_environ(SIDECAR))._runner.app
    assert application is not None
    return {(route.resource.canonical, route.method) for route in application.router.routes() if route.resource and route.method != "HEAD"}


def control_pages() -> set[str]:
    monitoring = Monitoring(cast(Any, None), cast(Any, None), cast(Any, None), cast(Any, None), Metrics(), cast(Any, None))
    application: web.Application = monitoring._application()
    return {resource.canonical for resource in application.router.resources()}


def control_metrics() -> set[str]:
    metrics = Metrics()
    CaMetrics(metrics.registry)
    return {family.name for family in metrics.registry.collect()}


def proxy_metrics(folder: Path) -> set[str]:
    """What a proxy tells that has a certificate, a cluster, requests, connections, a control plane and answers to DNS queries."""
    runtime = Runtime(asyncio.get_running_loop())
    chain, key = Authority.load_or_create(folder, "cluster.local").issue_server(["a"], [])
    runtime.secrets.put(SecretValue(name="default", chain=chain, key=key))
    runtime.clusters.put(static_cluster("c", ("127.0.0.1", 1)))
    runtime.http_stats("h")
    runtime.dns = DnsCounts()
    stats = IstioStats(UNKNOWN, "INBOUND")
    stats.requests.of(("destination",) * len(HTTP_LABELS))
    stats.connections.of(("destination",) * len(TCP_LABELS))
    facts = Facts(runtime=runtime, life=Life(), discovery=Status())
    text = render(runtime, [stats], process_subjects(facts)).decode()
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
