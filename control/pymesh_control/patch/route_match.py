"""Whether a route configuration or a virtual host is one that a change is for."""

from dataclasses import dataclass
from typing import Any

from pymesh.api.models.envoyfilter import PatchContext
from pymesh.xds import names

from ..model.envoyfilter import EnvoyPatch


@dataclass(frozen=True, slots=True)
class _Place:
    """What the name of a route configuration tells of where it is used."""

    port: int
    port_name: str = ""
    gateway: str = ""
    """`namespace/name`."""


def of_configuration(patch: EnvoyPatch, name: str, context: PatchContext) -> bool:
    """Whether the route configuration of a name is meant; names of ports and gateways count at gateways only."""
    wanted = patch.routes
    if wanted is None:
        return True
    place = _at_gateway(name) if context is PatchContext.GATEWAY else _at_sidecar(name)
    if (wanted.name and wanted.name != name) or (wanted.port_number and wanted.port_number != place.port):
        return False
    if context is not PatchContext.GATEWAY:
        return True
    return wanted.port_name in (None, "", place.port_name) and wanted.gateway in (None, "", place.gateway)


def of_host(patch: EnvoyPatch, host: Any) -> bool:
    """Whether a virtual host of a configuration that matches is meant."""
    wanted = patch.routes.vhost if patch.routes else None
    if wanted is None:
        return True
    return wanted.name in (None, "", host.name) and (not wanted.domain_name or wanted.domain_name in host.domains)


def _at_sidecar(name: str) -> _Place:
    """`8080`, or `inbound|8080||`; other names tell no port that could be asked for."""
    cluster = names.parse_cluster(name)
    if cluster:
        return _Place(cluster.port)
    return _Place(int(name) if name.isdecimal() else 0)


def _at_gateway(name: str) -> _Place:
    """`http.8080` or `https.443.<port name>.<gateway>.<namespace>`, each with `.<address>` where it is bound to one."""
    kind, _, rest = name.partition(".")
    parts = rest.split(".")
    port = int(parts[0]) if parts[0].isdecimal() else 0
    if kind == "https" and len(parts) >= 4:
        return _Place(port, parts[1], f"{parts[3]}/{parts[2]}")
    return _Place(port)
