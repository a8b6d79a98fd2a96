"""ServiceEntry: how addresses are found, and what that allows beside it."""

from pymesh.address import is_ip

from ..hosts import is_wildcard
from ..models.serviceentry import Resolution, ServiceEntry, ServicePort
from ..models.workloadentry import WorkloadEntry
from . import attachment, common, words
from .finding import Finding, Findings, below, verdict
from .workloadentry import UNIX, endpoint

PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "MONGO", "MYSQL", "REDIS", "TCP", "TLS", "UDP")
_NAMED = ("HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "HTTPS", "TLS")
"""Protocols whose requests or handshakes tell the host."""
_FORWARDED = ("HTTP", "HTTP2", "GRPC", "TLS")
_LOOKED_UP = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
_DNS = (*_LOOKED_UP, Resolution.DYNAMIC_DNS)


def check(spec: ServiceEntry, namespace: str) -> Findings:
    """Everything wrong with one ServiceEntry."""
    resolution = spec.resolution or Resolution.NONE
    yield from _hosts(spec)
    yield from _addresses(spec, resolution)
    yield from _ports(spec)
    yield from _endpoints(spec)
    yield from _resolution(spec, resolution)
    yield from _shared_port(spec, resolution)
    yield from _selector(spec, resolution)
    yield from common.export_to(spec.export_to, namespace, none_allowed=True)


def _hosts(spec: ServiceEntry) -> Findings:
    if not spec.hosts:
        yield Finding(("hosts",), "needs at least one host")
    for index, host in enumerate(spec.hosts):
        if host == "*":
            yield Finding(("hosts", index), 'the host "*" is not allowed')
        elif problem := words.wildcard_domain(host):
            yield Finding(("hosts", index), problem)
        elif is_wildcard(host) and not host.startswith("*.") and spec.resolution is not Resolution.DYNAMIC_DNS:
            yield Finding(("hosts", index), f'the wildcard of "{host}" covers a part of a label; proxies may not match it', "warning")


def _addresses(spec: ServiceEntry, resolution: Resolution) -> Findings:
    for index, address in enumerate(spec.addresses):
        yield from verdict(("addresses", index), words.subnet(address))
        if "/" in address and resolution in _DNS:
            yield Finding(("addresses", index), f"a CIDR block cannot stand with resolution {resolution.value}")


def _ports(spec: ServiceEntry) -> Findings:
    for index, port in enumerate(spec.ports):
        earlier = spec.ports[:index]
        yield from below(("ports", index), _port(port))
        if any(port.name == other.name for other in earlier):
            yield Finding(("ports", index, "name"), f'the port name "{port.name}" is used twice')
        if any(port.number == other.number for other in earlier):
            yield Finding(("ports", index, "number"), f"the port {port.number} is listed twice")


def _port(port: ServicePort) -> Findings:
    yield from verdict("name", words.dns_label(port.name))
    yield from verdict("number", words.port(port.number))
    if port.target_port is not None:
        yield from verdict("target_port", words.port(port.target_port))
    if port.protocol and port.protocol.upper() not in PROTOCOLS:
        yield Finding(("protocol",), f'"{port.protocol}" is not a protocol ({", ".join(PROTOCOLS)})')


def _endpoints(spec: ServiceEntry) -> Findings:
    if spec.endpoints and spec.workload_selector is not None:
        yield Finding(("endpoints",), '"endpoints" and "workloadSelector" cannot be set together')
    names = {port.name for port in spec.ports}
    for index, entry in enumerate(spec.endpoints):
        yield from below(("endpoints", index), endpoint(entry))
        for name in entry.ports:
            if name not in names:
                yield Finding(("endpoints", index, "ports", name), f'the service has no port named "{name}"')
        if (entry.address or "").startswith(UNIX) and len(spec.ports) != 1:
            yield Finding(("endpoints", index, "address"), "a Unix socket needs a service with exactly one port")


def _resolution(spec: ServiceEntry, resolution: Resolution) -> Findings:
    if resolution is Resolution.NONE and spec.endpoints:
        yield Finding(("endpoints",), "resolution NONE takes the address of the connection, so endpoints have no meaning")
    if resolution is Resolution.STATIC:
        yield from _static(spec.endpoints)
    if resolution in _LOOKED_UP:
        yield from _dns(spec, resolution)
    if resolution is Resolution.DYNAMIC_DNS:
        yield from _dynamic_dns(spec)


def _static(endpoints: list[WorkloadEntry]) -> Findings:
    for index, entry in enumerate(endpoints):
        if entry.address and not entry.address.startswith(UNIX) and not is_ip(entry.address):
            yield Finding(("endpoints", index, "address"), f'resolution STATIC needs an IP address, found "{entry.address}"')


def _dns(spec: ServiceEntry, resolution: Resolution) -> Findings:
    if not spec.endpoints:
        for index, host in enumerate(spec.hosts):
            if is_wildcard(host):
                sentence = f"resolution {resolution.value} without endpoints looks the host up, so it must not be a wildcard"
                yield Finding(("hosts", index), sentence)
    if resolution is Resolution.DNS_ROUND_ROBIN and len(spec.endpoints) > 1:
        yield Finding(("endpoints", 1), "resolution DNS_ROUND_ROBIN allows one endpoint")
    for index, entry in enumerate(spec.endpoints):
        if not entry.address or entry.address.startswith(UNIX):
            yield Finding(("endpoints", index), f"resolution {resolution.value} needs a host name or an IP address")


def _dynamic_dns(spec: ServiceEntry) -> Findings:
    for index, host in enumerate(spec.hosts):
        if not is_wildcard(host):
            yield Finding(("hosts", index), f'resolution DYNAMIC_DNS is for wildcard hosts, "{host}" is none')
    for name, values in (("addresses", spec.addresses), ("endpoints", spec.endpoints)):
        if values:
            yield Finding((name,), "resolution DYNAMIC_DNS looks addresses up as requests come, so none can be given")
    for index, port in enumerate(spec.ports):
        if (port.protocol or "").upper() not in _FORWARDED:
            yield Finding(("ports", index), f"resolution DYNAMIC_DNS needs a protocol that names the host ({', '.join(_FORWARDED)})")


def _shared_port(spec: ServiceEntry, resolution: Resolution) -> Findings:
    """Nothing in a plain TCP connection says which of several hosts is meant, and an address no more."""
    if len(spec.hosts) < 2 or resolution is Resolution.NONE:
        return
    for index, port in enumerate(spec.ports):
        protocol = (port.protocol or "").upper()
        if protocol not in _NAMED:
            yield Finding(("ports", index), "several hosts can only share ports whose protocol names the host, HTTP or TLS")
        elif protocol in ("HTTPS", "TLS") and spec.addresses and resolution in _LOOKED_UP:
            yield Finding(("addresses",), f"several hosts share these addresses, and port {port.number} is found by address", "warning")


def _selector(spec: ServiceEntry, resolution: Resolution) -> Findings:
    if spec.workload_selector is None:
        return
    yield from below("workload_selector", attachment.workload_selector(spec.workload_selector))
    if resolution in (Resolution.NONE, Resolution.DYNAMIC_DNS):
        yield Finding(("workload_selector",), f"has no effect with resolution {resolution.value}", "warning")
