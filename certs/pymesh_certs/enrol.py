"""From a sidecar's settings to its identity: the same for our proxy and for the agent beside an Envoy."""

from collections.abc import Callable
from datetime import timedelta

from pymesh.bootstrap.environment import Settings

from .client import CaClient
from .workload import Bundle, Policy, WorkloadIdentity


def identity_for(settings: Settings, on_change: Callable[[Bundle], None]) -> WorkloadIdentity:
    """The identity that these settings give a workload; not started yet."""
    client = CaClient(str(settings.ca), settings.ca_root.read_bytes, settings.token_file.read_text)
    policy = Policy(ttl=timedelta(seconds=settings.secret_ttl), ratio=settings.rotation_ratio, rsa_bits=settings.rsa_bits)
    return WorkloadIdentity(settings.identity, client, policy=policy, on_change=on_change)
