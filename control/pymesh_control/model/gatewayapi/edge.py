"""The Gateways that are served here, with the ListenerSets that they take in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..gateway import Gateway
from ..namespaces import Namespaces
from .backends import Backends
from .certificates import Certificates
from .conditions import ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED, Condition, ListenerStatus, Status, bad, settled
from .gateways import Classes, proxies_of, unserved
from .listeners import Holder, Listener, listeners_of
from .places import admits
from .precedence import of_age


class Edge:
    """All of them, their listeners by who has them, and the Gateways of Istio's that stand for them."""

    def __init__(self, by_kind: Mapping[str, Sequence[Any]], backends: Backends, certificates: Certificates) -> None:
        self.gateways: list[Gateway] = []
        self.listeners: dict[Holder, list[Listener]] = {}
        self.others: list[Holder] = []
        """Who has listeners that somebody else serves."""
        self.credentials: set[tuple[str, str, str]] = set()
        """Those that listeners name: namespace of the proxies, namespace and name."""
        self._certificates, self._namespaces = certificates, Namespaces(by_kind.get("Namespace", ()))
        self._served: dict[tuple[str, str], tuple[Any, list[Listener]]] = {}
        self._told: list[tuple[Any, list[Condition]]] = []
        classes = Classes(by_kind.get("GatewayClass", ()))
        for one in sorted(by_kind.get("KubernetesGateway", ()), key=of_age):
            self._add(one, classes)
        for one in sorted(by_kind.get("ListenerSet", ()), key=of_age):
            self._add_set(one)
        for resource, listeners in self._served.values():
            self._serve(resource, listeners, backends)

    def served(self) -> Iterator[Listener]:
        """Each listener that proxies open."""
        return (one for _, found in self._served.values() for one in found if one.is_served)

    def beside(self, listener: Listener) -> list[Listener]:
        """Those of a listener's Gateway."""
        _, found = self._served[listener.gateway.namespace, listener.gateway.name]
        return [one for one in found if one.is_served]

    def statuses(self, attached: Mapping[str, int]) -> Iterator[Status]:
        """Of each Gateway and ListenerSet; `attached` counts routes by the key of a listener."""
        for resource, faults in self._told:
            listeners = self.listeners.get(_holder(resource), [])
            found = [*faults, *_broken(listeners)]
            yield Status(
                kind=resource.kind,
                namespace=resource.namespace,
                name=resource.name,
                conditions=settled(found, *((ACCEPTED, PROGRAMMED) if listeners else (ACCEPTED,))),
                listeners=tuple(_listener_status(one, attached.get(one.key, 0)) for one in listeners),
            )

    def _add(self, gateway: Any, classes: Classes) -> None:
        if classes.serves(gateway.spec.gateway_class_name):
            found = listeners_of(gateway, gateway, self._certificates, self._namespaces)
            self.listeners[_holder(gateway)] = found
            self._served[gateway.namespace, gateway.name] = (gateway, list(found))
        elif classes.leaves(gateway.spec.gateway_class_name):
            self.others.append(_holder(gateway))
        else:
            self._told.append((gateway, [unserved(gateway)]))

    def _add_set(self, one: Any) -> None:
        parent = one.spec.parent_ref
        place = (parent.namespace or one.namespace, parent.name)
        if ("KubernetesGateway", *place) in self.others:
            self.others.append(_holder(one))
            return
        gateway, listeners = self._served.get(place, (None, []))
        if gateway is None or parent.kind != "Gateway":
            text = f"no {parent.kind} {'/'.join(place)} is served here"
            self._told.append((one, [bad(ACCEPTED, "ParentNotAccepted", text, ("parentRef",))]))
        elif not self._takes(gateway, one.namespace):
            text = f"Gateway {'/'.join(place)} takes no ListenerSets of namespace {one.namespace} (allowedListeners.namespaces)"
            self._told.append((one, [bad(ACCEPTED, "NotAllowed", text, ("parentRef",))]))
        else:
            found = listeners_of(gateway, one, self._certificates, self._namespaces, listeners)
            self.listeners[_holder(one)] = found
            listeners += found
            self._told.append((one, []))

    def _takes(self, gateway: Any, namespace: str) -> bool:
        allowed = gateway.spec.allowed_listeners
        return allowed is not None and admits(allowed.namespaces, gateway.namespace, namespace, self._namespaces)

    def _serve(self, gateway: Any, listeners: Sequence[Listener], backends: Backends) -> None:
        made, faults = proxies_of(gateway, listeners, backends)
        self.gateways += made
        self._told.append((gateway, faults))
        named = {credential for one in listeners if one.is_served for credential in one.secured.credentials}
        self.credentials |= {(one.namespace, *credential) for one in made for credential in named}


def _broken(listeners: Sequence[Listener]) -> Iterator[Condition]:
    """What is told of the whole when single listeners are not served: it is refused with the last of them only."""
    broken = ", ".join(one.spec.name for one in listeners if not one.is_served)
    if not broken:
        return
    some = any(one.is_served for one in listeners)
    yield Condition(ACCEPTED, some, "ListenersNotValid", f"not served: {broken}", follows=True)
    if not some:
        yield bad(PROGRAMMED, "Invalid", "no listener is served", follows=True)


def _holder(resource: Any) -> Holder:
    return (resource.kind, resource.namespace, resource.name)


def _listener_status(listener: Listener, attached: int) -> ListenerStatus:
    faults = list(listener.faults)
    if not listener.is_served:
        faults.append(bad(PROGRAMMED, "Invalid", "no proxy opens it", follows=True))
    conditions = settled(faults, ACCEPTED, CONFLICTED, RESOLVED, PROGRAMMED)
    return ListenerStatus(listener.spec.name, listener.kinds, attached, conditions)
