"""The rules of TLSRoutes and TCPRoutes: the backends that share connections."""

from collections.abc import Sequence
from typing import Any

from pymesh.api.models.virtualservice import Destination, RouteDestination

from ..virtual import UNKNOWN_SERVICE
from .backends import Backends
from .conditions import Condition


def shares_of(route: Any, backends: Backends, *, grants: bool) -> tuple[Sequence[RouteDestination], list[Condition]]:
    """The shares of a route's first rule, as no further one is ever reached, and what is wrong with its backends."""
    found: list[RouteDestination] = []
    faults: list[Condition] = []
    for index, reference in enumerate(route.spec.rules[0].backend_refs):
        path = ("rules", 0, "backendRefs", index)
        destination, fault = backends.destination(reference, route.kind, route.namespace, path, grants=grants)
        faults += [fault] if fault else []
        if reference.weight:
            found.append(RouteDestination(destination=destination, weight=reference.weight))
    return found or [RouteDestination(destination=Destination(host=UNKNOWN_SERVICE))], faults
