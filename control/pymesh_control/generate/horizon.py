"""The instances of a service as a client gets to them: directly, or by the gateways of another network.

Gateways pass mutual TLS on by server name, so instances that do not end it are out of reach. Weights are scaled so that every gateway gets
a whole number of what its network's instances weigh (Istio's split horizon).
"""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import replace

from ..model.networks import NetworkGateway
from ..model.service import Endpoint, Service
from ..model.workload import MUTUAL, Workload
from .common import UNLIMITED
from .scope import Scope

IsMutual = Callable[[Endpoint], bool]


def reached(scope: Scope, service: Service, endpoints: Iterable[Endpoint], is_mutual: IsMutual) -> list[Endpoint]:
    """The endpoints that the client is told of."""
    seen = [one for one in endpoints if _is_seen(scope, service, one.workload)]
    if not scope.snapshot.networks:
        return [one for one in seen if one.workload.ip]
    return [*_direct(scope, seen), *_through(scope, seen, is_mutual)]


def _is_seen(scope: Scope, service: Service, workload: Workload) -> bool:
    wanted = scope.site.wanted
    if wanted is not None and workload.network and workload.network not in wanted:
        return False
    return not scope.site.cluster or workload.cluster_id == scope.site.cluster or not scope.snapshot.mesh.cluster_local.covers(service.host)


def _direct(scope: Scope, endpoints: Iterable[Endpoint]) -> Iterable[Endpoint]:
    for one in endpoints:
        if one.workload.ip and _is_direct(scope, one.workload):
            yield one if scope.snapshot.networks.scale == 1 else replace(one, workload=replace(one.workload, weight=_scaled(scope, one)))


def _through(scope: Scope, endpoints: Iterable[Endpoint], is_mutual: IsMutual) -> Iterable[Endpoint]:
    """The gateways to the others, in each locality that has any."""
    shares: dict[tuple[str, NetworkGateway], int] = {}
    for one in endpoints:
        if _is_direct(scope, one.workload) or not is_mutual(one):
            continue
        gateways = [gateway for gateway in _gateways(scope, one.workload) if _version(gateway) in scope.site.families]
        for gateway in gateways:
            key = (one.workload.locality, gateway)
            shares[key] = min(shares.get(key, 0) + max(1, _scaled(scope, one) // len(gateways)), UNLIMITED)
    for (locality, gateway), weight in sorted(shares.items()):
        yield _entry(gateway, locality, weight)


def _entry(gateway: NetworkGateway, locality: str, weight: int) -> Endpoint:
    workload = Workload(
        name="",
        namespace="",
        ip=gateway.address,
        locality=locality,
        network=gateway.network,
        cluster_id=gateway.cluster,
        tls_mode=MUTUAL,
        weight=weight,
    )
    return Endpoint(workload, gateway.port, is_gateway=True)


def _is_direct(scope: Scope, workload: Workload) -> bool:
    """Within the client's network, or in one that nobody knows a way into; a client of no network has none within."""
    if not _gateways(scope, workload):
        return True
    return workload.network in ("", scope.site.network)


def _gateways(scope: Scope, workload: Workload) -> tuple[NetworkGateway, ...]:
    return scope.snapshot.networks.towards(workload.network, workload.cluster_id)


def _scaled(scope: Scope, endpoint: Endpoint) -> int:
    return min(endpoint.workload.weight * scope.snapshot.networks.scale, UNLIMITED)


def _version(gateway: NetworkGateway) -> int:
    return ipaddress.ip_address(gateway.address).version
