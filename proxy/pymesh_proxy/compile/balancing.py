"""A cluster's load balancing: the `lb_policy` enum with its messages, or the list of `load_balancing_policy`."""

from ..upstream.balancing.config import Balancing, BalancingConfig
from ..upstream.config import Discovery
from .fields import Reader

_POLICIES = {"ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "CLUSTER_PROVIDED"}


def balancing(reader: Reader, discovery: Discovery) -> BalancingConfig:
    """How a Cluster balances; `load_balancing_policy` takes the place of `lb_policy`."""
    policy = reader.child("load_balancing_policy")
    config = _policy_list(policy) if policy is not None else _policy_enum(reader)
    provided = config.policy is Balancing.CLUSTER_PROVIDED
    if provided and discovery is not Discovery.ORIGINAL_DST:
        reader.refuse("lb_policy", f"CLUSTER_PROVIDED needs a cluster of type ORIGINAL_DST, not {discovery.name}")
    if discovery is Discovery.ORIGINAL_DST and not provided:
        reader.refuse("lb_policy", "a cluster of type ORIGINAL_DST needs CLUSTER_PROVIDED")
    _original_dst(reader)
    return config


def _original_dst(reader: Reader) -> None:
    config = reader.child("original_dst_lb_config")
    if config is not None:
        config.only()


def _policy_enum(reader: Reader) -> BalancingConfig:
    name = reader.choice("lb_policy")
    for config in ("least_request_lb_config", "round_robin_lb_config"):
        child = reader.child(config)
        if child is not None:
            child.only(*(["choice_count"] if config.startswith("least") else []))
    if name not in _POLICIES:
        reader.refuse("lb_policy", f"{name} is not supported; {', '.join(sorted(_POLICIES))} are")
        return BalancingConfig()
    return BalancingConfig(policy=Balancing[name], choice_count=reader.message.least_request_lb_config.choice_count.value or 2)


def _policy_list(policy: Reader) -> BalancingConfig:
    """The first policy that is known here, as Envoy chooses; a problem when none is."""
    policy.only("policies")
    for item in policy.items("policies"):
        extension = Reader(item.message.typed_extension_config, item.at("typed_extension_config"), item.problems)
        build = _POLICY_TYPES.get(extension.message.typed_config.type_url.rpartition("/")[2])
        config = extension.extension() if build else None
        if build and config:
            return build(config)
    policy.refuse("policies", "none of these policies is supported; round_robin, least_request and random are")
    return BalancingConfig()


def _round_robin(config: Reader) -> BalancingConfig:
    config.only()
    return BalancingConfig()


def _random(config: Reader) -> BalancingConfig:
    config.only()
    return BalancingConfig(policy=Balancing.RANDOM)


def _least_request(config: Reader) -> BalancingConfig:
    config.only("choice_count", at_default={"selection_method": 0, "enable_full_scan": False})
    return BalancingConfig(policy=Balancing.LEAST_REQUEST, choice_count=config.wrapped("choice_count", 2))


def _cluster_provided(config: Reader) -> BalancingConfig:
    config.only()
    return BalancingConfig(policy=Balancing.CLUSTER_PROVIDED)


_POLICY_TYPES = {
    "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin": _round_robin,
    "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest": _least_request,
    "envoy.extensions.load_balancing_policies.random.v3.Random": _random,
    "envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided": _cluster_provided,
}
