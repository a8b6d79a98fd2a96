"""The sections of /config_dump: what the proxy was told, in the shapes that `istioctl proxy-config` reads.

Resources stand in them as protobuf messages: collecting them is quick, turning them into JSON is not, and is done elsewhere.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from pymesh.xds import proto, types

from ..http.options import HttpOptions
from ..http.route_slot import RouteSlot
from ..tls.config import SecretValue
from ..upstream.config import Assignment
from .facts import Facts, chains_of

Items = list[dict[str, Any]]
Section = dict[str, Any]


def bootstrap(facts: Facts) -> Section:
    """BootstrapConfigDump."""
    if facts.bootstrap is None:
        return {}
    return {"bootstrap": facts.bootstrap, **_updated(facts)}


def clusters(facts: Facts) -> Section:
    """ClustersConfigDump."""
    held = [cluster.config for cluster in facts.runtime.clusters if cluster.config.source is not None]
    return {
        **_version(facts, "cds"),
        "static_clusters": [{"cluster": config.source, **_updated(facts)} for config in held if not config.added_via_api],
        "dynamic_active_clusters": [_accepted(facts, "cds", "cluster", config.source) for config in held if config.added_via_api],
        "dynamic_warming_clusters": [_accepted(facts, "cds", "cluster", message) for message in facts.warming(types.CLUSTER)],
    }


def listeners(facts: Facts) -> Section:
    """ListenersConfigDump. A listener that is replaced shows its active and its warming state in one entry."""
    held = [listener.config for listener in facts.runtime.listeners if listener.config.source is not None]
    entries: dict[str, dict[str, Any]] = {}
    for config in held:
        if config.added_via_api:
            entry = entries.setdefault(config.name, {"name": config.name})
            entry["active_state"] = _state(facts, config.source)
    for message in facts.warming(types.LISTENER):
        entries.setdefault(message.name, {"name": message.name})["warming_state"] = _state(facts, message)
    return {
        **_version(facts, "lds"),
        "static_listeners": [{"listener": config.source, **_updated(facts)} for config in held if not config.added_via_api],
        "dynamic_listeners": [{**entry, "client_status": "ACKED"} for entry in entries.values()],
    }


def routes(facts: Facts) -> Section:
    """RoutesConfigDump: RDS tables are dynamic, tables written into a listener are static."""
    named = [slot for slot in facts.runtime.routes if _source(slot) is not None]
    inline = [slot for slot in _inline_routes(facts) if _source(slot) is not None and not any(slot is other for other in named)]
    return {
        "static_route_configs": [{"route_config": _source(slot), **_updated(facts)} for slot in inline],
        "dynamic_route_configs": [_accepted(facts, "rds", "route_config", _source(slot)) for slot in named],
    }


def endpoints(facts: Facts) -> Section:
    """EndpointsConfigDump, built from what the clusters hold: EDS assignments are dynamic, inline ones static."""
    static: Items = []
    dynamic: Items = []
    for cluster in facts.runtime.clusters:
        assignment = cluster.assignment
        if assignment is not None and cluster.config.eds_name:
            dynamic.append(_accepted(facts, "eds", "endpoint_config", _load_assignment(assignment)))
        elif assignment is not None:
            static.append({"endpoint_config": _load_assignment(assignment)})
    return {"static_endpoint_configs": static, "dynamic_endpoint_configs": dynamic}


def secrets(facts: Facts) -> Section:
    """SecretsConfigDump; private keys never leave the process."""
    own = {secret.name for secret in facts.bootstrap.static_resources.secrets} if facts.bootstrap is not None else set()
    static: Items = []
    dynamic: Items = []
    for value in facts.runtime.secrets:
        item = {"name": value.name, "secret": _secret(value)}
        if value.name in own:
            static.append({**item, **_updated(facts)})
        else:
            dynamic.append({**item, **_version(facts, "sds"), "client_status": "ACKED"})
    return {"static_secrets": static, "dynamic_active_secrets": dynamic}


SECTIONS: dict[str, Callable[[Facts], Section]] = {
    "BootstrapConfigDump": bootstrap,
    "ClustersConfigDump": clusters,
    "EndpointsConfigDump": endpoints,
    "ListenersConfigDump": listeners,
    "RoutesConfigDump": routes,
    "SecretsConfigDump": secrets,
}
"""By Envoy's message name, in Envoy's order."""


def _version(facts: Facts, short: str) -> Section:
    status = facts.discovery.types.get(short) if facts.discovery is not None else None
    return {"version_info": status.version_text} if status is not None and status.version_text else {}


def _updated(facts: Facts) -> Section:
    """Static resources came with the process."""
    return {
        "last_updated": datetime.fromtimestamp(facts.runtime.started_wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    }


def _accepted(facts: Facts, short: str, name: str, message: Any) -> Section:
    """One dynamic resource; a refused one never gets here, so each was acknowledged."""
    return {**_version(facts, short), name: message, "client_status": "ACKED"}


def _state(facts: Facts, message: Any) -> Section:
    return {**_version(facts, "lds"), "listener": message}


def _source(slot: RouteSlot) -> Any:
    return slot.table.source if slot.table is not None else None


def _inline_routes(facts: Facts) -> Iterable[RouteSlot]:
    for listener in facts.runtime.listeners:
        for chain in chains_of(listener.config):
            if isinstance(chain.terminal, HttpOptions):
                yield chain.terminal.route


def _load_assignment(assignment: Assignment) -> Any:
    """The protobuf of an assignment; endpoints of one locality and priority stand together, in the order they came."""
    message = proto.endpoint.ClusterLoadAssignment(cluster_name=assignment.cluster)
    message.policy.overprovisioning_factor.value = assignment.overprovisioning_factor
    message.policy.weighted_priority_health = assignment.weighted_priority_health
    if assignment.drop_percent:
        drop = message.policy.drop_overloads.add(category="drop_overload").drop_percentage
        drop.numerator, drop.denominator = round(assignment.drop_percent * 10_000), proto.percent.FractionalPercent.MILLION
    groups: dict[tuple[int, tuple[str, str, str]], Any] = {}
    for config in assignment.endpoints:
        key = config.priority, config.place
        if (group := groups.get(key)) is None:
            group = groups[key] = message.endpoints.add(priority=config.priority)
            group.locality.region, group.locality.zone, group.locality.sub_zone = config.place
            if config.locality_weight:
                group.load_balancing_weight.value = config.locality_weight
        host = group.lb_endpoints.add(health_status=config.health.value)
        host.load_balancing_weight.value = config.weight
        host.endpoint.hostname = config.hostname
        if config.host.startswith("/"):
            host.endpoint.address.pipe.path = config.host
        else:
            host.endpoint.address.socket_address.address = config.host
            host.endpoint.address.socket_address.port_value = config.port
        _metadata(host, config.transport_match, config.workload)
    return message


def _metadata(host: Any, transport_match: tuple[tuple[str, str], ...], workload: str) -> None:
    if transport_match:
        host.metadata.filter_metadata["envoy.transport_socket_match"].update(dict(transport_match))
    if workload:
        host.metadata.filter_metadata["istio"].update({"workload": workload})


def _secret(value: SecretValue) -> Any:
    message = proto.secret.Secret(name=value.name)
    if value.chain:
        message.tls_certificate.certificate_chain.inline_bytes = value.chain
        message.tls_certificate.private_key.inline_bytes = b"[redacted]"
    if value.trusted_ca:
        message.validation_context.trusted_ca.inline_bytes = value.trusted_ca
    return message
