"""The debug pages by path. Each takes what the control plane holds and a query, and gives a value or a protobuf message."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymesh.xds import types

from ..ads.stream import Stream
from ..model.view import ProxyView
from ..registration.standing import Standing
from ..reports.blocked import Blocked
from ..world import World
from . import blockedz, clients, configuration, described, dump, proxyless, registry, sight, status


@dataclass(frozen=True, slots=True)
class Question:
    """What a page looks at: the world, the connected clients, what is registered and reported, and what its query string asks for."""

    world: World
    streams: Iterable[Stream]
    standings: Sequence[Standing]
    blocked: Blocked
    query: Mapping[str, str]

    @property
    def stream(self) -> Stream:
        """The client that the query names as `proxyID`. Raises UnknownProxy."""
        return clients.find(self.streams, self.query.get("proxyID", ""))

    @property
    def view(self) -> ProxyView:
        """The same as the generators see it. Raises UnknownProxy."""
        stream = self.stream
        return self.world.view(stream.node, stream.identity)


Page = Callable[[Question], Any]

PAGES: dict[str, tuple[str, Page]] = {
    "adsz": ("clients with their node metadata and what they watch", lambda asked: clients.adsz(asked.streams)),
    "authorizationz": (
        "the AuthorizationPolicies, oldest first", lambda asked: configuration.authorizationz(asked.world),
    ),
    "blockedz": ("calls that Envoys did not let through (REGISTRY_ONLY)", lambda asked: blockedz.blockedz(asked.blocked)),
    "config_dump": ("what a proxy was sent, as Envoy dumps it (proxyID)", lambda asked: dump.config_dump(asked.stream)),
    "configz": (
        "the resources in use, and what is wrong with the files", lambda asked: configuration.configz(asked.world, asked.standings),
    ),
    "connections": ("who is connected", lambda asked: clients.connections(asked.streams)),
    "edsz": ("the load assignments of a proxy (proxyID)", lambda asked: dump.messages(asked.stream, types.ENDPOINT)),
    "endpointz": ("the instances of every service's ports", lambda asked: registry.endpointz(asked.world.snapshot)),
    "gatewayapiz": ("the conditions of the Gateway API's objects", lambda asked: asked.world.snapshot.gateway_api.statuses),
    "instancesz": ("the services a proxy serves (proxyID)", lambda asked: registry.instancesz(asked.world.snapshot, asked.view)),
    "mesh": ("the mesh configuration with its defaults", lambda asked: asked.world.snapshot.mesh),
    "ndsz": ("the name table of a proxy (proxyID)", lambda asked: dump.messages(asked.stream, types.NAME_TABLE)),
    "networkz": ("the gateways of all networks", lambda asked: list(asked.world.snapshot.networks.gateways)),
    "proxylessz": ("what the mesh asks in vain of connected gRPC clients", lambda asked: proxyless.proxylessz(asked.world, asked.streams)),
    "push_status": ("how far the present snapshot has come", lambda asked: configuration.push_status(asked.world, asked.streams)),
    "registryz": ("services and workloads", lambda asked: registry.registryz(asked.world.snapshot)),
    "resourcesz": ("the resources a proxy holds (proxyID)", lambda asked: clients.resourcesz(asked.stream)),
    "servicez": (
        "a service with the rules for it (name, namespace)",
        lambda asked: described.servicez(asked.world.snapshot, asked.query.get("name", ""), asked.query.get("namespace", "")),
    ),
    "sidecarz": ("what a proxy sees of the mesh (proxyID)", lambda asked: sight.sidecarz(asked.world.snapshot, asked.view)),
    "statusz": ("what has become of each resource", lambda asked: status.statusz(asked.world, asked.streams, asked.standings)),
    "syncz": ("how far each client is with each type", lambda asked: [clients.client(stream) for stream in asked.streams]),
}
"""By the last part of the path: what the page tells, and how."""

OF_ONE_PROXY = frozenset({"config_dump", "edsz", "instancesz", "ndsz", "resourcesz", "sidecarz"})
"""Those that tell of the proxy that is asked for, and of nothing else."""


def listed(_asked: Question) -> dict[str, str]:
    """What /debug/list tells: every page."""
    return {f"/debug/{name}": text for name, (text, _) in PAGES.items()}
