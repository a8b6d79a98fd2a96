"""The workload's own identity inside the proxy: each new certificate becomes the secrets `default` and `ROOTCA`.

This is what Istio's agent does for Envoy over SDS on a Unix socket; here it is a function call.
"""

from typing import TYPE_CHECKING

from pymesh.bootstrap.environment import Settings
from pymesh.bootstrap.envoy import SDS_CLUSTER
from pymesh.xds import names

from .discovery.configuration import Configuration
from .discovery.target import Secrets
from .tls.config import SecretValue

if TYPE_CHECKING:
    from pymesh_certs.workload import Bundle, WorkloadIdentity

SERVICES = frozenset({SDS_CLUSTER})
"""SDS configurations that name this cluster mean the workload's agent: the process itself."""

SECRETS = frozenset({names.WORKLOAD_SECRET, names.ROOT_SECRET})
"""What it serves."""


def secrets_of(bundle: "Bundle") -> tuple[SecretValue, SecretValue]:
    """The key pair and the roots of one certificate, as SDS would have sent them."""
    pair = SecretValue(name=names.WORKLOAD_SECRET, chain=bundle.chain_pem, key=bundle.key_pem)
    return pair, SecretValue(name=names.ROOT_SECRET, trusted_ca=bundle.roots_pem)


def publish(bundle: "Bundle", secrets: Secrets, configuration: Configuration) -> None:
    """Put a new certificate into use for new connections; existing ones keep theirs."""
    for secret in secrets_of(bundle):
        secrets.put(secret)
    for secret in secrets_of(bundle):
        configuration.secret_changed(secret.name)


def make_identity(settings: Settings, secrets: Secrets, configuration: Configuration) -> "WorkloadIdentity":
    """An identity that publishes itself; not started yet."""
    from pymesh_certs.enrol import identity_for

    return identity_for(settings, lambda bundle: publish(bundle, secrets, configuration))
