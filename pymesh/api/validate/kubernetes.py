"""What Kubernetes' own objects must not hold: addresses that are none, as one of them would have a proxy refuse everything else."""

from collections.abc import Callable, Iterable
from typing import Any

from pymesh.address import is_ip

from ..models.kubernetes import Endpoints, EndpointSlice, Pod, Service
from ..tree import Path
from ..types import Model
from .finding import Finding, Findings

HEADLESS = "None"


def check(kind: str, spec: Model) -> Findings:
    """Everything wrong with an object; paths begin at the object itself."""
    if kind in _ADDRESSES:
        for path, address in _ADDRESSES[kind](spec):
            if not is_ip(address):
                yield Finding(path, f'"{address}" is not an IP address')


def _of_service(service: Service) -> Iterable[tuple[Path, str]]:
    if service.spec.cluster_ip not in (None, "", HEADLESS):
        yield ("spec", "clusterIP"), service.spec.cluster_ip
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
