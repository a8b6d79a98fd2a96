"""MeshConfig: what holds for the whole mesh."""

from pymesh import identity

from ..models.meshconfig import MeshConfig, ProxyConfig
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
    yield from below("default_config", _proxy(mesh.default_config)) if mesh.default_config else ()


def _trust_domain(text: str) -> str | None:
    try:
        identity.parse(f"spiffe://{text}")
    except identity.InvalidSpiffeId as invalid:
        return str(invalid)
    return None if "/" not in text else f'"{text}" is not a trust domain'


def _proxy(proxy: ProxyConfig) -> Findings:
    for name, number in (("proxy_admin_port", proxy.proxy_admin_port), ("status_port", proxy.status_port)):
        if number is not None:
            yield from verdict(name, words.port(number))
