"""MeshNetworks: blocks, names and ports that can exist."""

import ipaddress

from pymesh.address import is_ip

from ..models.meshnetworks import MeshNetworks, Network, NetworkEndpoints, NetworkGateway
from . import words
from .finding import Finding, Findings, below, verdict


def check(spec: MeshNetworks, _namespace: str) -> Findings:
    """Everything wrong with the networks of a mesh."""
    for name, network in spec.networks.items():
        if not name:
            yield Finding(("networks",), "a network needs a name")
        yield from below(("networks", name), _network(network))
    yield from _overlaps(spec)


def _network(network: Network) -> Findings:
    for index, endpoints in enumerate(network.endpoints):
        yield from below(("endpoints", index), _endpoints(endpoints))
    for index, gateway in enumerate(network.gateways):
        yield from below(("gateways", index), _gateway(gateway))


def _endpoints(endpoints: NetworkEndpoints) -> Findings:
    if endpoints.from_cidr:
        yield from verdict("from_cidr", words.subnet(endpoints.from_cidr))
    elif endpoints.from_registry:
        yield from verdict("from_registry", words.dns_label(endpoints.from_registry))
    else:
        yield Finding((), "needs one of fromCidr and fromRegistry")


def _gateway(gateway: NetworkGateway) -> Findings:
    yield from verdict("port", words.port(gateway.port or 0))
    if gateway.registry_service_name:
        yield from verdict("registry_service_name", words.fqdn(gateway.registry_service_name))
    elif not gateway.address:
        yield Finding((), "needs one of registryServiceName and address")
    elif not is_ip(gateway.address):
        yield from verdict("address", words.fqdn(gateway.address))


def _overlaps(spec: MeshNetworks) -> Findings:
    """An address belongs to one network."""
    seen: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str]] = []
    for name, network in spec.networks.items():
        for index, endpoints in enumerate(network.endpoints):
            if not endpoints.from_cidr or words.subnet(endpoints.from_cidr) is not None:
                continue
            block = ipaddress.ip_network(endpoints.from_cidr, strict=False)
            other = next((one for held, one in seen if one != name and held.version == block.version and held.overlaps(block)), None)
            if other is not None:
                yield Finding(("networks", name, "endpoints", index, "from_cidr"), f"{endpoints.from_cidr} is in part of network {other}")
            seen.append((block, name))
