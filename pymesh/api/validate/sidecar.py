"""Sidecar: listeners that can exist, and services that can be named."""

import re
from collections.abc import Sequence

from pymesh.address import is_ip

from ..models.destinationrule import ConnectionPoolSettings, H2UpgradePolicy
from ..models.gateway import ServerTLSSettings
from ..models.gateway import TLSMode as ServerMode
from ..models.sidecar import (
    CaptureMode,
    IstioEgressListener,
    IstioIngressListener,
    Sidecar,
    SidecarOutboundMode,
    SidecarOutboundPolicy,
    SidecarPort,
)
from . import attachment, common, words
from .connectionpool import check as check_pool
from .finding import Finding, Findings, below, verdict
from .gateway import check_tls
from .serviceentry import PROTOCOLS
from .workloadentry import UNIX, socket_path

_ENDPOINT = re.compile(r"(?:127\.0\.0\.1|\[::1\]|0\.0\.0\.0|\[::\]|):([0-9]{1,5})")
_HTTP = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
_FOREIGN_TLS = (
    "subject_alt_names", "https_redirect", "credential_name", "credential_names", "ca_cert_credential_name", "tls_certificates",
)  # fmt: skip
"""Settings of a gateway's TLS that a sidecar's port cannot have."""


def check(spec: Sidecar, namespace: str) -> Findings:
    """Everything wrong with one Sidecar."""
    if spec.workload_selector is not None:
        yield from below("workload_selector", attachment.workload_selector(spec.workload_selector))
    if not any((spec.ingress, spec.egress, spec.outbound_traffic_policy, spec.inbound_connection_pool)):
        yield Finding((), "needs one of ingress, egress, outboundTrafficPolicy and inboundConnectionPool")
    yield from _listeners("ingress", [listener.port for listener in spec.ingress])
    for index, inward in enumerate(spec.ingress):
        yield from below(("ingress", index), _ingress(inward))
    yield from _listeners("egress", [listener.port for listener in spec.egress])
    yield from _portless(spec.egress)
    yield from _sockets(spec.egress)
    for index, outward in enumerate(spec.egress):
        yield from below(("egress", index), _egress(outward, namespace))
    yield from below("inbound_connection_pool", _pool(spec.inbound_connection_pool)) if spec.inbound_connection_pool else ()
    yield from below("outbound_traffic_policy", _policy(spec.outbound_traffic_policy)) if spec.outbound_traffic_policy else ()


def _listeners(name: str, ports: Sequence[SidecarPort | None]) -> Findings:
    numbers = [port.number for port in ports if port and port.number]
    for index, port in enumerate(ports):
        if port and port.number and numbers.index(port.number) != len([one for one in ports[:index] if one and one.number]):
            yield Finding((name, index, "port", "number"), f"the port {port.number} is used twice")


def _ingress(listener: IstioIngressListener) -> Findings:
    yield from below("port", _port(listener.port))
    if not listener.port.number:
        yield Finding(("port",), "needs a number")
    if listener.bind and not is_ip(listener.bind):
        yield Finding(("bind",), f'"{listener.bind}" is not an IP address')
    if listener.default_endpoint:
        yield from _endpoint(listener.default_endpoint)
    if listener.tls is not None:
        protocol = (listener.port.protocol or "").upper()
        yield from below("tls", _tls(listener.tls, protocol))
        if protocol not in ("HTTPS", "TLS"):
            yield Finding(("tls",), "needs a port of protocol HTTPS or TLS")
    if listener.connection_pool is not None:
        yield from below("connection_pool", _pool(listener.connection_pool))
        if listener.connection_pool.http and (listener.port.protocol or "HTTP").upper() not in _HTTP:
            yield Finding(("connection_pool", "http"), "has no effect on a port that does not speak HTTP", "warning")


def _pool(pool: ConnectionPoolSettings) -> Findings:
    yield from check_pool(pool)
    if pool.http is not None and pool.http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        text = "has no effect towards the application, which is spoken to as its port says"
        yield Finding(("http", "h2_upgrade_policy"), text, "warning")


def _endpoint(text: str) -> Findings:
    found = _ENDPOINT.fullmatch(text)
    if text.startswith(UNIX):
        yield from verdict("default_endpoint", socket_path(text))
    elif found is None:
        forms = "127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix://PATH"
        yield Finding(("default_endpoint",), f'"{text}" must be {forms}')
    else:
        yield from verdict("default_endpoint", words.port(int(found[1])))
        if text.startswith(":"):
            yield Finding(("default_endpoint",), f'"{text}" has no address, which is as if it were not set, in Istio as here', "warning")


def _tls(tls: ServerTLSSettings, protocol: str) -> Findings:
    foreign = [name for name in _FOREIGN_TLS if getattr(tls, name)]
    for name in foreign:
        yield Finding((name,), "is for gateways, not for sidecars")
    if tls.mode in (ServerMode.ISTIO_MUTUAL, ServerMode.AUTO_PASSTHROUGH):
        yield Finding(("mode",), f"mode {tls.mode.value} is for gateways, not for sidecars")
    elif not foreign:
        yield from check_tls(tls, protocol)


def _port(port: SidecarPort) -> Findings:
    if port.number:
        yield from verdict("number", words.port(port.number))
    if port.name:
        yield from verdict("name", words.dns_label(port.name))
    if port.protocol and port.protocol.upper() not in PROTOCOLS:
        yield Finding(("protocol",), f'"{port.protocol}" is not one of {", ".join(PROTOCOLS)}')
    if port.target_port:
        yield Finding(("target_port",), "has no meaning here, in Istio either; say in defaultEndpoint where the application listens")


def _portless(listeners: Sequence[IstioEgressListener]) -> Findings:
    """One listener takes the ports that no other has; it comes last."""
    without = [index for index, listener in enumerate(listeners) if listener.port is None]
    for index in without[1:]:
        yield Finding(("egress", index), "only one listener may have no port")
    if without and without[0] != len(listeners) - 1:
        yield Finding(("egress", without[0]), "the listener without a port must be the last one")


def _sockets(listeners: Sequence[IstioEgressListener]) -> Findings:
    """Unix sockets are told apart by their paths, as other listeners by their ports."""
    sockets = [(index, one.bind) for index, one in enumerate(listeners) if one.port and not one.port.number and one.bind]
    for place, (index, bind) in enumerate(sockets):
        if any(bind == other for _, other in sockets[:place]):
            yield Finding(("egress", index, "bind"), f'the socket "{bind}" is used twice')


def _egress(listener: IstioEgressListener, namespace: str) -> Findings:
    if listener.port is not None:
        yield from below("port", _port(listener.port))
        yield from _bind(listener, listener.port.number or 0)
    if not listener.hosts:
        yield Finding(("hosts",), "needs at least one host")
    for index, host in enumerate(listener.hosts):
        yield from verdict(("hosts", index), _host(host))
    yield from _superfluous(listener.hosts, namespace)


def _bind(listener: IstioEgressListener, number: int) -> Findings:
    bind = listener.bind or ""
    if number and bind and not is_ip(bind):
        yield Finding(("bind",), f'"{bind}" is not an IP address')
    elif not number and not bind.startswith(UNIX):
        yield Finding(("port",), "port 0 is for Unix sockets (bind: unix://...)")
    elif not number:
        yield from verdict("bind", socket_path(bind))
        if listener.capture_mode is CaptureMode.IPTABLES:
            yield Finding(("capture_mode",), "nothing is captured for a Unix socket")


def _superfluous(hosts: Sequence[str], namespace: str) -> Findings:
    """Warnings for hosts that others of the list hold already; what is taken out again (`~`) is none of them."""
    pairs = [text.partition("/")[::2] for text in hosts]
    seen: dict[str, set[str]] = {}
    for index, (place, name) in enumerate(pairs):
        if not name or place.startswith("~"):
            continue
        known = seen.setdefault(namespace if place == "." else place, set())
        if name in known or "*" in known or (name == "*" and known):
            yield Finding(("hosts", index), f'"{hosts[index]}" is listed twice, or among others of its namespace', "warning")
        known.add(name)
    if "*" in seen.get("*", ()) and len(seen) > 1:
        yield Finding(("hosts",), '"*/*" is everything: the other hosts add nothing', "warning")


def _host(text: str) -> str | None:
    """`namespace/host`; `~` before a namespace takes the host out again, alone it is no namespace at all."""
    namespace, slash, name = text.partition("/")
    if not slash:
        return f'"{text}" must be "namespace/host"'
    excluded = namespace.removeprefix("~")
    if namespace not in ("*", ".", "~") and excluded not in ("*", ".") and (problem := words.dns_label(excluded)):
        return problem
    return None if name == "*" else words.full_name(name)


def _policy(policy: SidecarOutboundPolicy) -> Findings:
    if policy.egress_proxy is not None:
        yield from below("egress_proxy", common.destination(policy.egress_proxy))
        if "*" in policy.egress_proxy.host:
            yield from verdict(("egress_proxy", "host"), words.fqdn(policy.egress_proxy.host))
        if policy.egress_proxy.port is None:
            yield Finding(("egress_proxy",), "needs a port")
        if policy.mode is not SidecarOutboundMode.ALLOW_ANY:
            yield Finding(("egress_proxy",), "needs mode ALLOW_ANY")
