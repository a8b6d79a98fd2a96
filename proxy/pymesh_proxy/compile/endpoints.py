"""ClusterLoadAssignments: the endpoints of a cluster."""

from typing import Any

from ..upstream.config import Assignment, EndpointConfig, Health
from .addresses import endpoint_address
from .fields import Reader, compiled

_TRANSPORT_MATCH = "envoy.transport_socket_match"
_BALANCING = "envoy.lb"
_ISTIO = "istio"
_DENOMINATORS = {0: 100, 1: 10_000, 2: 1_000_000}
"""FractionalPercent.DenominatorType."""


def compile_assignment(message: Any) -> Assignment:
    """A ClusterLoadAssignment resource; raises ConfigError with every problem."""
    return compiled(message, assignment)


def assignment(reader: Reader) -> Assignment:
    """A ClusterLoadAssignment, also the one inside a cluster."""
    reader.only("cluster_name", "endpoints", "policy")
    policy = reader.child("policy")
    return Assignment(
        cluster=reader.message.cluster_name,
        endpoints=tuple(endpoint for group in reader.items("endpoints") for endpoint in _locality(group)),
        drop_percent=_drops(policy) if policy else 0.0,
    )


def _drops(policy: Reader) -> float:
    policy.only("drop_overloads", harmless={"overprovisioning_factor": "it spreads load over priorities, of which there is one"})
    drops = policy.items("drop_overloads")
    if len(drops) > 1:
        policy.refuse("drop_overloads", "at most one category can be honoured")
    return sum(_percent(drop.message.drop_percentage) for drop in drops)


def _percent(fraction: Any) -> float:
    return float(fraction.numerator * 100 / _DENOMINATORS.get(fraction.denominator, 100))


def _locality(group: Reader) -> list[EndpointConfig]:
    group.only(
        "locality",
        "lb_endpoints",
        harmless={
            "load_balancing_weight": "it counts only with locality_weighted_lb_config, which a cluster may not have here",
            "metadata": "nothing reads it",
        },
    )
    return [_endpoint(item, group.message) for item in group.items("lb_endpoints")]


def _endpoint(item: Reader, group: Any) -> EndpointConfig:
    item.only("endpoint", "health_status", "metadata", "load_balancing_weight")
    reader = Reader(item.message.endpoint, item.at("endpoint"), item.problems)
    reader.only("address", "hostname", harmless={"health_check_config": "endpoints are not actively checked"})
    host, port = endpoint_address(Reader(reader.message.address, reader.at("address"), reader.problems))
    return EndpointConfig(
        host=host,
        port=port,
        weight=item.wrapped("load_balancing_weight", 1),
        health=_health(item),
        region=group.locality.region,
        zone=group.locality.zone,
        sub_zone=group.locality.sub_zone,
        hostname=reader.message.hostname,
        hash_key=_hash_key(item.message.metadata),
        transport_match=plain_labels(item.message.metadata, _TRANSPORT_MATCH),
        labels=plain_labels(item.message.metadata),
        workload=str(_metadata(item.message.metadata, _ISTIO).get("workload", "")),
    )


def _hash_key(metadata: Any) -> str:
    key = _metadata(metadata, _BALANCING).get("hash_key")
    return key if isinstance(key, str) else ""  # Envoy goes on without one of another type, too


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
