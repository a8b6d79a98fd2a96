"""gRPC channels to xDS and rate limit services: the address and TLS settings of a static cluster, or a gRPC target."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc

from ..errors import ConfigError, Problem
from .source import GrpcSource

if TYPE_CHECKING:
    from ..tls.config import CertificateSource, SecretValue, UpstreamTls, ValidationSource
    from ..upstream.config import ClusterConfig, EndpointConfig

Option = tuple[str, int | str]

_OPTIONS: tuple[Option, ...] = (
    # Every attempt is a channel of its own, so that our back-off is the only one.
    ("grpc.use_local_subchannel_pool", 1),
    # Envoy has no limit on a response; 4 MiB, gRPC's default, is less than a large mesh's CDS.
    ("grpc.max_receive_message_length", -1),
    # A control plane whose machine vanished sends no FIN.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

SecretLookup = Callable[[str], "SecretValue | None"]


class Channels:
    """Opens channels to the services that configuration names."""

    def __init__(self, clusters: Mapping[str, "ClusterConfig"], secret: SecretLookup) -> None:
        """`clusters` are the static ones; `secret` finds an SDS secret's present value."""
        self._clusters = clusters
        self._secret = secret

    def check(self, source: GrpcSource, path: str) -> None:
        """Raise ConfigError when `source` can never be reached as configured."""
        if source.target:
            return
        cluster = self._clusters.get(source.cluster)
        if cluster is None:
            raise ConfigError(Problem(path, f"cluster {source.cluster!r} is not a static cluster"))
        if cluster.assignment is None or not cluster.assignment.endpoints:
            raise ConfigError(Problem(path, f"cluster {source.cluster!r} has no endpoints of its own (load_assignment)"))
        if cluster.tls is not None:
            _check_names(cluster.tls, cluster.assignment.endpoints[0].host, path)

    def open(self, source: GrpcSource, attempt: int) -> grpc.aio.Channel:
        """A new channel; attempts walk round the cluster's endpoints. Nothing is connected yet."""
        options = [*_OPTIONS]
        if source.authority:
            options.append(("grpc.default_authority", source.authority))
        if source.target:
            return _google(source, options)
        cluster = self._clusters[source.cluster]
        assert cluster.assignment is not None
        endpoint = cluster.assignment.endpoints[attempt % len(cluster.assignment.endpoints)]
        return _open(cluster, endpoint, self._secret, options)


def to_endpoint(cluster: "ClusterConfig", endpoint: "EndpointConfig", secret: SecretLookup, *, authority: str = "") -> grpc.aio.Channel:
    """A channel to one endpoint of a cluster; raises ConfigError where gRPC cannot verify the server as the cluster asks."""
    if cluster.tls is not None:
        _check_names(cluster.tls, endpoint.host, cluster.name)
    return _open(cluster, endpoint, secret, [("grpc.default_authority", authority)] if authority else [])


def secrets_of(cluster: "ClusterConfig", secret: SecretLookup) -> "tuple[SecretValue | None, ...]":
    """Today's values of the SDS secrets that a channel to a cluster is opened with; one that stands keeps those of its opening."""
    if cluster.tls is None:
        return ()
    names = [*(source.secret for source in cluster.tls.certificates[:1]), cluster.tls.validation.secret]
    return tuple(secret(name) for name in names if name)


def _open(cluster: "ClusterConfig", endpoint: "EndpointConfig", secret: SecretLookup, options: list[Option]) -> grpc.aio.Channel:
    if cluster.tls is None:
        return grpc.aio.insecure_channel(_target(endpoint), options=options)
    if cluster.tls.sni:
        options.append(("grpc.ssl_target_name_override", cluster.tls.sni))
    return grpc.aio.secure_channel(_target(endpoint), _credentials(cluster.tls, secret), options=options)


def _credentials(tls: "UpstreamTls", secret: SecretLookup) -> Any:
    chain, key = _pair(tls.certificates[0], secret) if tls.certificates else (None, None)
    return grpc.ssl_channel_credentials(_roots(tls.validation, secret), key, chain)


def _pair(source: "CertificateSource", secret: SecretLookup) -> tuple[bytes | None, bytes | None]:
    if not source.secret:
        return source.chain, source.key
    found = secret(source.secret)
    return (found.chain, found.key) if found is not None else (None, None)


def _roots(source: "ValidationSource", secret: SecretLookup) -> bytes | None:
    found = secret(source.secret) if source.secret else None
    return (found.trusted_ca if found is not None else b"") + source.trusted_ca or None


def _google(source: GrpcSource, options: list[Option]) -> grpc.aio.Channel:
    if not source.tls:
        return grpc.aio.insecure_channel(source.target, options=options)
    credentials = grpc.ssl_channel_credentials(source.roots or None, source.key or None, source.chain or None)
    return grpc.aio.secure_channel(source.target, credentials, options=options)


def _target(endpoint: "EndpointConfig") -> str:
    if endpoint.host.startswith("/"):
        return f"unix:{endpoint.host}"
    return f"dns:///[{endpoint.host}]:{endpoint.port}" if ":" in endpoint.host else f"dns:///{endpoint.host}:{endpoint.port}"


def _check_names(tls: "UpstreamTls", host: str, path: str) -> None:
    """gRPC verifies one name of the server, the one it dials; SAN matchers must therefore accept exactly that."""
    name = tls.sni or host
    sans = tls.validation.sans
    if sans and not any(one.kind in ("DNS", "IP_ADDRESS") and one.test(name) for one in sans):
        wanted = ", ".join(one.text for one in sans)
        raise ConfigError(Problem(path, f"the server is verified as {name!r}, which match_typed_subject_alt_names ({wanted}) refuses"))
    if tls.validation.spki or tls.validation.hashes:
        raise ConfigError(Problem(path, "verify_certificate_spki and verify_certificate_hash are not supported for gRPC services"))
    if not tls.validation.verifies:
        raise ConfigError(Problem(path, "a gRPC service over TLS must be verified: set trusted_ca or a validation secret"))
