"""MeshConfig with Istio's defaults in the place of what is left out."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """A retry policy; the defaults are Istio's for routes that have none of their own."""

    attempts: int = 2
    retry_on: str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    per_try_timeout: float | None = None
    backoff: float | None = None
    avoid_previous_hosts: bool = True
    leaves_locality: bool = False
    """Whether retries may go to other localities than the first try's (`retryRemoteLocalities`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """The settings of the whole mesh. Times are seconds."""

    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    root_namespace: str = "istio-system"
    registry_only: bool = False
    """Whether traffic to hosts that no service declares is blocked."""
    auto_mtls: bool = True
    connect_timeout: float = 10.0
    protocol_detection_timeout: float = 0.0
    access_log_file: str = ""
    access_log_format: str = ""
    access_log_json: bool = False
    retry: RetrySettings = field(default_factory=RetrySettings)
    locality: Any = field(default=None, hash=False)
    """The localityLbSetting of rules that have none."""

    @property
    def trust_domains(self) -> tuple[str, ...]:
        return (self.trust_domain, *self.trust_domain_aliases)


def from_config(spec: Any) -> Mesh:
    """The Mesh of a parsed MeshConfig."""
    default = Mesh()
    policy = spec.outbound_traffic_policy
    return Mesh(
        trust_domain=spec.trust_domain or default.trust_domain,
        trust_domain_aliases=tuple(sorted(set(spec.trust_domain_aliases))),
        root_namespace=spec.root_namespace or default.root_namespace,
        registry_only=bool(policy and policy.mode and policy.mode.value == "REGISTRY_ONLY"),
        auto_mtls=spec.enable_auto_mtls is not False,
        connect_timeout=spec.connect_timeout or default.connect_timeout,
        protocol_detection_timeout=spec.protocol_detection_timeout or 0.0,
        access_log_file=spec.access_log_file or "",
        access_log_format=spec.access_log_format or "",
        access_log_json=bool(spec.access_log_encoding and spec.access_log_encoding.value == "JSON"),
        retry=_retry(spec.default_http_retry_policy),
        locality=spec.locality_lb_setting,
    )


def _retry(policy: Any) -> RetrySettings:
    if policy is None:
        return RetrySettings()
    return RetrySettings(
        attempts=policy.attempts or 0,
        retry_on=policy.retry_on or RetrySettings().retry_on,
        per_try_timeout=policy.per_try_timeout,
        backoff=policy.backoff,
        avoid_previous_hosts=policy.retry_ignore_previous_hosts is not False,
        leaves_locality=bool(policy.retry_remote_localities),
    )
