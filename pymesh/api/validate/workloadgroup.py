"""WorkloadGroup: a template for workloads, and how their health is found out."""

import re

from ..models.workloadgroup import HTTPHealthCheck, ReadinessProbe, WorkloadGroup
from . import common, words
from .finding import Finding, Findings, below, verdict
from .workloadentry import UNIX, check_socket, ports_by_name

_HEADER = re.compile(r"[-A-Za-z0-9]+")
_COUNTS = ("initial_delay_seconds", "timeout_seconds", "period_seconds", "success_threshold", "failure_threshold")


def check(spec: WorkloadGroup, _namespace: str) -> Findings:
    """Everything wrong with one WorkloadGroup."""
    if spec.metadata is not None:
        yield from below(("metadata", "labels"), common.labels(spec.metadata.labels))
    yield from below("template", _template(spec))
    yield from below("probe", _probe(spec.probe)) if spec.probe else ()


def _template(spec: WorkloadGroup) -> Findings:
    address = spec.template.address or ""
    if address:
        yield Finding(("address",), "is not used: every workload brings its own address", "warning")
    if address.startswith(UNIX):
        yield from check_socket(spec.template)
    yield from below("ports", ports_by_name(spec.template.ports))
    for finding in common.labels(spec.template.labels):  # Istio looks at those of `metadata` only
        yield finding._replace(path=("labels", *finding.path), severity="warning")


def _probe(probe: ReadinessProbe) -> Findings:
    for name in _COUNTS:
        value = getattr(probe, name)
        if value is not None and value < 0:
            yield Finding((name,), f"{value} is negative")
    if not (probe.http_get or probe.tcp_socket or probe.exec or probe.grpc):
        yield Finding((), "needs one of httpGet, tcpSocket, exec and grpc")
    yield from below("http_get", _http(probe.http_get)) if probe.http_get else ()
    if probe.tcp_socket:
        yield from verdict(("tcp_socket", "port"), words.port(probe.tcp_socket.port))
    if probe.grpc and probe.grpc.port is not None:
        yield from verdict(("grpc", "port"), words.port(probe.grpc.port))
    if probe.exec and not all(probe.exec.command or [""]):
        yield Finding(("exec", "command"), "needs a command")


def _http(http: HTTPHealthCheck) -> Findings:
    yield from verdict("port", words.port(http.port))
    if http.scheme not in (None, "", "HTTP", "HTTPS"):
        yield Finding(("scheme",), f'"{http.scheme}" must be HTTP or HTTPS')
    for index, header in enumerate(http.http_headers):
        if not _HEADER.fullmatch(header.name or ""):
            yield Finding(("http_headers", index, "name"), f'"{header.name or ""}" is not a header name of letters, digits and "-"')
