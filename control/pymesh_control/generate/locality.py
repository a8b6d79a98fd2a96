"""How one client's locality shares out the endpoints of a cluster."""

from collections.abc import Hashable, Iterable
from typing import Any

from ..model import locality
from ..model.destination import Policy
from ..model.locality import Client, Group
from ..model.service import Endpoint
from .scope import Scope


def _setting(scope: Scope, policy: Policy) -> Any:
    """The localityLbSetting of a rule, else the mesh's; None where neither says anything."""
    own = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    return scope.snapshot.mesh.locality if own is None else own


def counts(scope: Scope, policy: Policy) -> bool:
    """Whether the client's locality makes a difference to the cluster: for lack of outlier detection nobody ever fails over."""
    setting = _setting(scope, policy)
    if setting is not None and setting.enabled is False:
        return False
    return policy.outlier_detection is not None or bool(setting and setting.distribute)


def key(scope: Scope, policy: Policy) -> Hashable:
    """What distinguishes clients to which the cluster looks different."""
    return (scope.locality, scope.labels) if counts(scope, policy) else ()


def groups(scope: Scope, endpoints: Iterable[Endpoint], policy: Policy) -> list[Group]:
    """The endpoints by locality and priority."""
    if not counts(scope, policy):
        return locality.plain(endpoints)
    client = Client(scope.locality, dict(scope.labels))
    return locality.arranged(endpoints, client, _setting(scope, policy), failover=policy.outlier_detection is not None)
