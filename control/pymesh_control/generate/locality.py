"""How one client's locality shares out the endpoints of a cluster."""

from collections.abc import Hashable, Iterable
from typing import Any

from ..model import locality
from ..model.destination import Policy
from ..model.locality import Client, Group
from ..model.service import Endpoint, Service
from .scope import Scope


def _own(policy: Policy) -> tuple[Any, Any]:
    """What a rule says of localities, and of zones; it has one of them at most."""
    balancer = policy.load_balancer
    return (balancer.locality_lb_setting, balancer.zone_aware_lb_setting) if balancer else (None, None)


def _setting(scope: Scope, service: Service, policy: Policy) -> Any:
    """The localityLbSetting of a rule, else the service's own, else the mesh's; None where none says anything."""
    return next((one for one in (_own(policy)[0], service.locality, scope.snapshot.mesh.locality) if one is not None), None)


def zone_aware(scope: Scope, service: Service, policy: Policy) -> Any:
    """The zoneAwareLbSetting of a rule, else the mesh's where neither rule nor service says anything of localities; None for none."""
    localities, zones = _own(policy)
    if zones is not None or localities is not None or service.locality is not None:
        return zones
    return scope.snapshot.mesh.zone_aware


def _fails_over(setting: Any, service: Service, policy: Policy) -> bool:
    """Whether the first priority is ever left: when outlier detection finds out who is sick, and where the service itself asks for it."""
    return policy.outlier_detection is not None or (setting is not None and setting is service.locality)


def counts(scope: Scope, service: Service, policy: Policy) -> bool:
    """Whether the client's locality makes a difference to the cluster."""
    zones = zone_aware(scope, service, policy)
    if zones is not None:
        return zones.enabled is not False
    setting = _setting(scope, service, policy)
    if setting is not None and setting.enabled is False:
        return False
    return _fails_over(setting, service, policy) or bool(setting and setting.distribute)


def share(message: Any, scope: Scope, service: Service, policy: Policy) -> None:
    """Say in a cluster's common_lb_config how its localities share the load, if they do."""
    zones = zone_aware(scope, service, policy)
    if zones is None:
        if _weighs(scope, service, policy):
            message.locality_weighted_lb_config.SetInParent()
        return
    message.zone_aware_lb_config.SetInParent()
    if zones.enabled is False:  # proxies with a local cluster look at zones unless they are told not to
        message.zone_aware_lb_config.routing_enabled.value = 0
    if zones.min_cluster_size is not None:
        message.zone_aware_lb_config.min_cluster_size.value = zones.min_cluster_size


def _weighs(scope: Scope, service: Service, policy: Policy) -> bool:
    """Whether localities are chosen by weight before their endpoints. Istio wants it only where a setting says where to go, for it
    keeps the balancer from comparing endpoints of different localities.
    """
    setting = _setting(scope, service, policy)
    if setting is None or setting.enabled is False:
        return False
    return bool(setting.distribute or (_fails_over(setting, service, policy) and (setting.failover or setting.failover_priority)))


def key(scope: Scope, service: Service, policy: Policy) -> Hashable:
    """What distinguishes clients to which the cluster looks different."""
    return (scope.locality, scope.labels) if counts(scope, service, policy) else ()


def groups(scope: Scope, service: Service, endpoints: Iterable[Endpoint], policy: Policy) -> list[Group]:
    """The endpoints by locality and priority."""
    if not counts(scope, service, policy):
        return locality.plain(endpoints)
    client, zones = Client(scope.locality, dict(scope.labels)), zone_aware(scope, service, policy)
    if zones is not None:
        return locality.by_region(endpoints, client, zones)
    setting = _setting(scope, service, policy)
    return locality.arranged(endpoints, client, setting, failover=_fails_over(setting, service, policy))
