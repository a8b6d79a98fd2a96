"""The workload's own identity inside the proxy: each new certificate becomes the secrets `default` and `ROOTCA`.

This is what Istio's agent does for Envoy over SDS on a Unix socket; here it is a function call.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from pymesh.bootstrap.environment import Settings
from pymesh.bootstrap.envoy import SDS_CLUSTER
from pymesh.xds import names

from .discovery.configuration import Configuration
from .discovery.target import Secrets
from .errors import StartupError
from .tls.config import SecretValue

if TYPE_CHECKING:
    from pymesh_certs.workload import Bundle, WorkloadIdentity

LOCAL_SERVICES = frozenset({SDS_CLUSTER})
"""SDS configurations that name this cluster mean the workload's agent: the process itself."""


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
    """An identity that publishes itself; raises StartupError when its root or token cannot be read."""
    from pymesh_certs.client import CaClient
    from pymesh_certs.workload import Policy, WorkloadIdentity

    for path in (settings.ca_root, settings.token_file):
        try:
            path.read_bytes()
        except OSError as error:
            raise StartupError(f"cannot read {path}, needed to join the mesh: {error.strerror}") from error
    client = CaClient(str(settings.ca), settings.ca_root.read_bytes, lambda: settings.token_file.read_text().strip())
    policy = Policy(ttl=timedelta(seconds=settings.secret_ttl), ratio=settings.rotation_ratio, rsa_bits=settings.rsa_bits)
    return WorkloadIdentity(
        settings.identity, client, policy=policy, on_change=lambda bundle: publish(bundle, secrets, configuration)
    )
