"""ClusterLoadAssignments: the endpoints of a cluster."""

from dataclasses import replace
from typing import Any

from pymesh.address import is_ip

from ..upstream.config import Assignment, EndpointConfig, Health
from .addresses import endpoint_address, socket_address
from .fields import Reader, compiled
from .fractions import percentage
from .health_checks import endpoint_check

_TRANSPORT_MATCH = "envoy.transport_socket_match"
_BALANCING = "envoy.lb"
_ISTIO = "istio"
"""FractionalPercent.DenominatorType."""


def compile_assignment(message: Any) -> Assignment:
    """A ClusterLoadAssignment resource; raises ConfigError with every problem."""
    made = compiled(message, assignment)
    first: dict[str, EndpointConfig] = {}
    for endpoint in made.endpoints:
        first.setdefault(endpoint.address, endpoint)  # of an address that comes twice the first counts, as in Envoy's EDS
    return made if len(first) == len(made.endpoints) else replace(made, endpoints=tuple(first.values()))


def assignment(reader: Reader) -> Assignment:
    """A ClusterLoadAssignment, also the one inside a cluster."""
    reader.only("cluster_name", "endpoints", "policy")
    groups = reader.items("endpoints")
    weights = _locality_weights(groups)
    endpoints = tuple(endpoint for group in groups for endpoint in _locality(group, weights))
    policy = reader.child("policy")
    if policy is None:
        return Assignment(cluster=reader.message.cluster_name, endpoints=endpoints)
    policy.only("drop_overloads", "overprovisioning_factor", "endpoint_stale_after", "weighted_priority_health")
    return Assignment(
        cluster=reader.message.cluster_name,
        endpoints=endpoints,
        drop_percent=_drops(policy),
        overprovisioning_factor=policy.wrapped("overprovisioning_factor", 140),
        weighted_priority_health=policy.message.weighted_priority_health,
        stale_after=policy.seconds("endpoint_stale_after", 0.0),
    )


def _drops(policy: Reader) -> float:
    drops = policy.items("drop_overloads")
    if len(drops) > 1:
        policy.refuse("drop_overloads", "at most one category can be honoured")
    return sum(map(_drop, drops))


def _drop(reader: Reader) -> float:
    """The percentage of one category."""
    reader.only("drop_percentage", harmless={"category": "it only names statistics"})
    numerator, denominator = percentage(Reader(reader.message.drop_percentage, reader.at("drop_percentage"), reader.problems))
    return numerator * 100 / denominator


def _locality_weights(groups: list[Reader]) -> dict[tuple[int, str], int]:
    """The weight of each locality within its priority: what the last group of that locality says, as in Envoy."""
    return {
        _locality_key(group): group.message.load_balancing_weight.value
        for group in groups
        if group.has("locality") and group.has("load_balancing_weight")
    }


def _locality_key(group: Reader) -> tuple[int, str]:
    locality = group.message.locality
    return group.message.priority, f"{locality.region}/{locality.zone}/{locality.sub_zone}"


def _locality(group: Reader, weights: dict[tuple[int, str], int]) -> list[EndpointConfig]:
    group.only("locality", "lb_endpoints", "load_balancing_weight", "priority", harmless={"metadata": "nothing reads it"})
    locality = group.child("locality")
    if locality is not None:
        locality.only("region", "zone", "sub_zone")
    weight = weights.get(_locality_key(group), 0)
    return [_endpoint(item, group.message, weight) for item in group.items("lb_endpoints")]


def _endpoint(item: Reader, group: Any, locality_weight: int) -> EndpointConfig:
    item.only("endpoint", "health_status", "metadata", "load_balancing_weight")
    reader = Reader(item.message.endpoint, item.at("endpoint"), item.problems)
    reader.only("address", "hostname", "additional_addresses", "health_check_config")
    host, port = endpoint_address(Reader(reader.message.address, reader.at("address"), reader.problems))
    return EndpointConfig(
        host=host,
        port=port,
        weight=item.wrapped("load_balancing_weight", 1),
        health=_health(item),
        region=group.locality.region,
        zone=group.locality.zone,
        sub_zone=group.locality.sub_zone,
        priority=group.priority,
        locality_weight=locality_weight,
        hostname=reader.message.hostname,
        additional_addresses=tuple(map(_additional, reader.items("additional_addresses"))),
        check=endpoint_check(reader),
        hash_key=_hash_key(item.message.metadata),
        transport_match=plain_labels(item.message.metadata, _TRANSPORT_MATCH),
        labels=plain_labels(item.message.metadata),
        workload=str(_metadata(item.message.metadata, _ISTIO).get("workload", "")),
    )


def _hash_key(metadata: Any) -> str:
    key = _metadata(metadata, _BALANCING).get("hash_key")
    return key if isinstance(key, str) else ""  # Envoy goes on without one of another type, too


def _additional(item: Reader) -> tuple[str, int]:
    item.only("address")
    host, port = socket_address(Reader(item.message.address, item.at("address"), item.problems))
    if not is_ip(host):
        item.refuse("address", f"{host!r} is no IP address")
    return host, port


def _health(item: Reader) -> Health:
    name = item.choice("health_status")
    if name not in Health.__members__:
        item.refuse("health_status", f"{item.message.health_status} is no health status")
        return Health.UNKNOWN
    return Health[name]


def plain_labels(metadata: Any, namespace: str = "envoy.lb") -> tuple[tuple[str, str], ...]:
    """A namespace of Metadata as sorted pairs of text; by default the one that balancing looks at."""
    return tuple(sorted((key, str(value)) for key, value in _metadata(metadata, namespace).items()))


def _metadata(metadata: Any, namespace: str) -> dict[str, Any]:
    """One namespace of filter_metadata as plain values."""
    if namespace not in metadata.filter_metadata:
        return {}
    return {key: _value(value) for key, value in metadata.filter_metadata[namespace].fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    return getattr(value, kind) if kind else None
