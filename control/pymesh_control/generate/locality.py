"""How one client's locality shares out the endpoints of a cluster."""

from collections.abc import Hashable, Iterable
from typing import Any

from ..model import locality
from ..model.destination import Policy
from ..model.locality import Client, Group
from ..model.service import Endpoint, Service
from .scope import Scope


def _setting(scope: Scope, service: Service, policy: Policy) -> Any:
    """The localityLbSetting of a rule, else the service's own, else the mesh's; None where none says anything."""
    own = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    return next((one for one in (own, service.locality, scope.snapshot.mesh.locality) if one is not None), None)


def _fails_over(setting: Any, service: Service, policy: Policy) -> bool:
    """Whether the first priority is ever left: when outlier detection finds out who is sick, and where the service itself asks for it."""
    return policy.outlier_detection is not None or (setting is not None and setting is service.locality)


def counts(scope: Scope, service: Service, policy: Policy) -> bool:
    """Whether the client's locality makes a difference to the cluster."""
    setting = _setting(scope, service, policy)
    if setting is not None and setting.enabled is False:
        return False
    return _fails_over(setting, service, policy) or bool(setting and setting.distribute)


def key(scope: Scope, service: Service, policy: Policy) -> Hashable:
    """What distinguishes clients to which the cluster looks different."""
    return (scope.locality, scope.labels) if counts(scope, service, policy) else ()


def groups(scope: Scope, service: Service, endpoints: Iterable[Endpoint], policy: Policy) -> list[Group]:
    """The endpoints by locality and priority."""
    if not counts(scope, service, policy):
        return locality.plain(endpoints)
    client, setting = Client(scope.locality, dict(scope.labels)), _setting(scope, service, policy)
    return locality.arranged(endpoints, client, setting, failover=_fails_over(setting, service, policy))
