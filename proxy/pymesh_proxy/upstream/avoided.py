"""The endpoints that a retry would rather not have: RetryPolicy's retry_host_predicate."""

from ..route.retry_policy import RetryPolicy
from .endpoint import Endpoint


class Avoided:
    """Answers `endpoint in avoided`. A predicate that rejects is enough, as in Envoy."""

    __slots__ = ("_policy", "_tried")

    def __init__(self, policy: RetryPolicy, tried: list[Endpoint]) -> None:
        self._policy = policy
        self._tried = tried if policy.avoid_previous_hosts else []

    def __contains__(self, endpoint: object) -> bool:
        assert isinstance(endpoint, Endpoint)
        policy, config = self._policy, endpoint.config
        if endpoint in self._tried or (policy.avoid_canaries and config.canary):
            return True
        return bool(policy.avoid_labels) and all(label in config.labels for label in policy.avoid_labels)
