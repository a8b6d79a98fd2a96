"""What Kubernetes' own objects must not hold: addresses that are none, as one of them would have a proxy refuse everything else,
and what no API server lets through, as files come past all of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pymesh.address import is_ip

from ..models.kubernetes import Endpoints, EndpointSlice, Pod, Service, ServicePort
from ..tree import Path
from ..types import Model
from . import words
from .finding import Finding, Findings, below, verdict

HEADLESS = "None"
_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_FAMILIES = {"IPv4": ".", "IPv6": ":"}
"""What each address of a family holds."""


def check(kind: str, spec: Model) -> Findings:
    """Everything wrong with an object; paths begin at the object itself."""
    if kind in _ADDRESSES:
        for path, address in _ADDRESSES[kind](spec):
            if not is_ip(address):
                yield Finding(path, f'"{address}" is not an IP address')
    if isinstance(spec, Service):
        yield from below("spec", _service(spec))
    elif isinstance(spec, EndpointSlice):
        yield from _family(spec)


def _service(service: Service) -> Findings:
    spec = service.spec
    if spec.type not in (None, "", *_TYPES):
        yield Finding(("type",), f'"{spec.type}" is not one of {", ".join(_TYPES)}')
    if spec.type == "ExternalName":
        name = spec.external_name or ""
        yield from verdict("externalName", words.object_name(name.removesuffix(".")) if name else "type ExternalName needs a name")
    for index, port in enumerate(spec.ports):
        yield from below(("ports", index), _port(port, spec.ports[:index], alone=len(spec.ports) == 1))


def _port(port: ServicePort, earlier: Sequence[ServicePort], *, alone: bool) -> Findings:
    if port.protocol not in (None, "", *_PROTOCOLS):
        yield Finding(("protocol",), f'"{port.protocol}" is not one of {", ".join(_PROTOCOLS)}; what is spoken over it says appProtocol')
    if port.name or not alone:
        yield from verdict("name", _port_name(port.name or ""))
    if port.name and any(port.name == other.name for other in earlier):
        yield Finding(("name",), f'the port name "{port.name}" is used twice')
    if any((port.port, port.protocol or "TCP") == (other.port, other.protocol or "TCP") for other in earlier):
        yield Finding(("port",), f"the port {port.port} is listed twice")


def _port_name(name: str) -> str | None:
    if not name:
        return "each of several ports needs a name"
    return words.dns_label(name) if name == name.lower() else f'the port name "{name}" must be in small letters'


def _family(slice_: EndpointSlice) -> Findings:
    sign = _FAMILIES.get(slice_.address_type, "")
    for path, address in _of_slice(slice_):
        if is_ip(address) and sign not in address:
            yield Finding(path, f'"{address}" is no {slice_.address_type} address')


def _of_service(service: Service) -> Iterable[tuple[Path, str]]:
    if service.spec.cluster_ip not in (None, "", HEADLESS):
        yield ("spec", "clusterIP"), service.spec.cluster_ip
    for index, address in enumerate(service.spec.external_ips):
        yield ("spec", "externalIPs", index), address
    for index, one in enumerate(service.status.load_balancer.ingress):
        if one.ip:
            yield ("status", "loadBalancer", "ingress", index, "ip"), one.ip
    for index, address in enumerate(service.spec.cluster_ips):
        if address not in ("", HEADLESS):
            yield ("spec", "clusterIPs", index), address


def _of_slice(slice_: EndpointSlice) -> Iterable[tuple[Path, str]]:
    if slice_.address_type == "FQDN":
        return
    for index, endpoint in enumerate(slice_.endpoints):
        for place, address in enumerate(endpoint.addresses):
            yield ("endpoints", index, "addresses", place), address


def _of_endpoints(endpoints: Endpoints) -> Iterable[tuple[Path, str]]:
    for index, subset in enumerate(endpoints.subsets):
        for key, held in (("addresses", subset.addresses), ("notReadyAddresses", subset.not_ready_addresses)):
            for place, one in enumerate(held):
                yield ("subsets", index, key, place, "ip"), one.ip


def _of_pod(pod: Pod) -> Iterable[tuple[Path, str]]:
    if pod.status.pod_ip:
        yield ("status", "podIP"), pod.status.pod_ip


_ADDRESSES: dict[str, Callable[[Any], Iterable[tuple[Path, str]]]] = {
    "Service": _of_service,
    "EndpointSlice": _of_slice,
    "Endpoints": _of_endpoints,
    "Pod": _of_pod,
}
