"""Connection pools: limits are positive, and what excludes what."""

from ..models.destinationrule import ConnectionPoolSettings, H2UpgradePolicy, HTTPSettings
from ..tree import json_name
from ..types import Model
from .finding import Finding, Findings, below


def check(pool: ConnectionPoolSettings) -> Findings:
    """Everything wrong with a `connectionPool`."""
    if pool.tcp is None and pool.http is None:
        yield Finding((), "needs tcp or http")
    yield from below("tcp", _not_negative(pool.tcp, "max_connections")) if pool.tcp else ()
    yield from below("http", _http(pool.http)) if pool.http else ()


def _http(http: HTTPSettings) -> Findings:
    limits = ("http1_max_pending_requests", "http2_max_requests", "max_requests_per_connection", "max_retries", "max_concurrent_streams")
    yield from _not_negative(http, *limits)
    if http.use_client_protocol and http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        yield Finding(("use_client_protocol",), "cannot be set with h2UpgradePolicy UPGRADE")
    if alive := http.http2_keep_alive:
        for name in ("interval", "timeout"):
            if getattr(alive, name) is None:
                yield Finding(("http2_keep_alive",), f'needs "{name}"')


def _not_negative(settings: Model, *names: str) -> Findings:
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 0:
            yield Finding((name,), f"{json_name(name)} {value} is negative")
