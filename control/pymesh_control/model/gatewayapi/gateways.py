"""Gateways that this mesh serves, and the proxies that serve them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymesh.api import hosts

from ..gateway import Gateway
from .backends import Backends
from .conditions import ACCEPTED, PROGRAMMED, Condition, bad
from .listeners import Listener

CLASS = "istio"
"""The class that is there without being declared."""

_CONTROLLER = "istio.io/gateway-controller"
_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
"""What the proxies of a Gateway carry that names no Service: the label that Istio gives those that it deploys."""


class Classes:
    """Which classes of Gateways are this mesh's."""

    def __init__(self, classes: Iterable[Any]) -> None:
        self._controllers = {one.name: one.spec.controller_name for one in classes}

    def serves(self, name: str) -> bool:
        """Whether Gateways of a class are served here."""
        return bool(self._controllers.get(name, _CONTROLLER if name == CLASS else "") == _CONTROLLER)

    def leaves(self, name: str) -> bool:
        """Whether somebody else serves them; nobody may, of a class that is not declared."""
        return name in self._controllers and not self.serves(name)


def unserved(gateway: Any) -> Condition:
    """What is told of a Gateway whose class nobody serves."""
    text = f"there is no GatewayClass {gateway.spec.gateway_class_name}; the one of this mesh is {CLASS}"
    return bad(ACCEPTED, "Pending", text, ("gatewayClassName",))


def proxies_of(gateway: Any, listeners: Sequence[Listener], backends: Backends) -> tuple[list[Gateway], list[Condition]]:
    """The Gateways of Istio's that stand for one, for each Service whose instances serve it, and what is wrong with its addresses."""
    served = [one for one in listeners if one.is_served]
    addresses = gateway.spec.addresses
    if not addresses or (len(addresses) == 1 and addresses[0].type == "IPAddress"):
        faults = [_unusable(index) for index, _ in enumerate(addresses)]
        ports = {one.spec.port: one.spec.port for one in served}
        return [_gateway(served, ports, gateway.namespace, {_NAME_LABEL: gateway.name})], faults
    found: list[Gateway] = []
    faults = []
    for index, address in enumerate(addresses):
        if address.type == "Hostname":
            made, told = _behind(gateway, served, address.value, backends, index)
            found += made
            faults += told
        else:
            faults.append(_unusable(index))
    return found, faults


def _behind(gateway: Any, served: Sequence[Listener], host: str, backends: Backends, index: int) -> tuple[list[Gateway], list[Condition]]:
    """The instances of a Service as the proxies of a Gateway: they open the ports to which it leads."""
    path = ("addresses", index)
    service = backends.host(hosts.expand(host, gateway.namespace))
    if service is None or not service.selector:
        text = f"{host} is no Service whose pods could serve this Gateway"
        return [], [bad(PROGRAMMED, "AddressNotUsable", text, path)]
    ports = {port.number: port.target for port in service.ports}
    absent = dict.fromkeys(one.spec.port for one in served if one.spec.port not in ports)
    faults = [bad(PROGRAMMED, "Invalid", f"the Service {host} has no port {port}: nobody can call it there", path) for port in absent]
    return [_gateway(served, ports, service.namespace, service.selector)], faults


def _gateway(served: Iterable[Listener], ports: Mapping[int, int], namespace: str, selector: Mapping[str, str]) -> Gateway:
    servers = tuple(one.server(ports[one.spec.port]) for one in served if one.spec.port in ports)
    return Gateway(dict(selector), servers, namespace)


def _unusable(index: int) -> Condition:
    text = "an address of this type is not assigned; name the Service whose pods serve the Gateway, with type Hostname"
    return bad(ACCEPTED, "UnsupportedAddress", text, ("addresses", index))
