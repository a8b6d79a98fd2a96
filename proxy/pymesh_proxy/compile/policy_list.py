"""`load_balancing_policy`: the first policy of its list that is known here, as Envoy chooses."""

import dataclasses
from dataclasses import dataclass

from .fields import Reader

KNOWN = (
    "round_robin.v3.RoundRobin",
    "least_request.v3.LeastRequest",
    "random.v3.Random",
    "ring_hash.v3.RingHash",
    "maglev.v3.Maglev",
    "cluster_provided.v3.ClusterProvided",
)
_WRR_LOCALITY = "wrr_locality.v3.WrrLocality"
_PREFIX = "envoy.extensions.load_balancing_policies."


@dataclass(frozen=True, slots=True)
class Chosen:
    """A policy: its message's name, one of KNOWN, and its settings; whether localities share its load by their weights."""

    name: str
    settings: Reader
    by_locality: bool = False


def chosen(cluster: Reader) -> Chosen | None:
    """The policy of a cluster that has a list; None, with a problem, when none of it is known, and when it has none."""
    policy = cluster.child("load_balancing_policy")
    return _first(policy) if policy is not None else None


def _first(policy: Reader) -> Chosen | None:
    policy.only("policies")
    for item in policy.items("policies"):
        item.only("typed_extension_config")
        extension = Reader(item.message.typed_extension_config, item.at("typed_extension_config"), item.problems)
        extension.only("name", "typed_config")
        name = extension.message.typed_config.type_url.rpartition("/")[2].removeprefix(_PREFIX)
        settings = extension.extension() if name in (*KNOWN, _WRR_LOCALITY) else None
        if settings is not None:
            return _within(settings) if name == _WRR_LOCALITY else Chosen(name, settings)
    policy.refuse("policies", f"none of these policies is supported; {', '.join(name.partition('.')[0] for name in KNOWN)} are")
    return None


def _within(wrr_locality: Reader) -> Chosen | None:
    """Localities by weight, and in each the policy that it names."""
    wrr_locality.only("endpoint_picking_policy")
    inner = wrr_locality.child("endpoint_picking_policy")
    if inner is None:
        wrr_locality.refuse("endpoint_picking_policy", "this field is required")
        return None
    found = _first(inner)
    return None if found is None else dataclasses.replace(found, by_locality=True)
