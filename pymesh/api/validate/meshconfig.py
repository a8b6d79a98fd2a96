"""MeshConfig: what holds for the whole mesh."""

from pymesh import identity

from ..models.meshconfig import MeshConfig
from . import words
from .finding import Finding, Findings, below, verdict
from .httproute import retries_of

_LONGEST_CONNECT = 3600.0  # seconds


def check(mesh: MeshConfig, _namespace: str) -> Findings:
    """Everything wrong with the mesh configuration."""
    if mesh.connect_timeout is not None and mesh.connect_timeout > _LONGEST_CONNECT:
        yield Finding(("connect_timeout",), "must be at most 1h")
    if mesh.trust_domain is not None:
        yield from verdict("trust_domain", _trust_domain(mesh.trust_domain))
    for index, alias in enumerate(mesh.trust_domain_aliases):
        yield from verdict(("trust_domain_aliases", index), _trust_domain(alias))
    if mesh.root_namespace is not None:
        yield from verdict("root_namespace", words.dns_label(mesh.root_namespace))
    yield from below("default_http_retry_policy", retries_of(mesh.default_http_retry_policy)) if mesh.default_http_retry_policy else ()
    if mesh.default_config is not None:
        yield Finding(("default_config",), "not supported here: a sidecar reads its settings from its variable PROXY_CONFIG")


def _trust_domain(text: str) -> str | None:
    try:
        identity.parse(f"spiffe://{text}")
    except identity.InvalidSpiffeId as invalid:
        return str(invalid)
    return None if "/" not in text else f'"{text}" is not a trust domain'
