"""What requests and connections are told apart by where a DestinationRule asks for consistent hashing."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pymesh.xds import names, proto

from ..model.destination import Rule

if TYPE_CHECKING:
    from .scope import Scope

_POLICY = proto.route_components.RouteAction.HashPolicy


def settings(scope: "Scope", cluster: str) -> Any | None:
    """The consistentHash of the rule that governs an outbound cluster."""
    parts = names.parse_cluster(cluster)
    service = scope.service(parts.host) if parts else None
    return of_rule(scope.rule(service), parts.port, parts.subset) if parts and service else None


def of_rule(rule: Rule | None, port: int, subset: str = "") -> Any | None:
    """The consistentHash of a rule for one port and subset."""
    balancer = rule.policy_for(port, subset if subset in rule.subsets else "").load_balancer if rule else None
    return balancer.consistent_hash if balancer else None


def policies(scope: "Scope", clusters: Iterable[str]) -> list[Any]:
    """The hash policies of a route to clusters: one for each that is balanced by a hash."""
    wanted = (settings(scope, cluster) for cluster in clusters)
    return [policy(one) for one in wanted if one is not None]


def policy(wanted: Any) -> Any:
    """The hash policy of a consistentHash."""
    if wanted.http_header_name:
        return _POLICY(header={"header_name": wanted.http_header_name})
    if wanted.http_cookie:
        return _cookie(wanted.http_cookie)
    if wanted.http_query_parameter_name:
        return _POLICY(query_parameter={"name": wanted.http_query_parameter_name})
    return _POLICY(connection_properties={"source_ip": bool(wanted.use_source_ip)})


def _cookie(cookie: Any) -> Any:
    policy = _POLICY(cookie={"name": cookie.name, "path": cookie.path or ""})
    if cookie.ttl is not None:
        policy.cookie.ttl.CopyFrom(proto.duration(cookie.ttl))
    for attribute in cookie.attributes:
        policy.cookie.attributes.add(name=attribute.name, value=attribute.value or "")
    return policy
