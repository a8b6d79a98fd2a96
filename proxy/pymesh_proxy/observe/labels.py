"""Who spoke to whom, in Istio's 25 labels: decided once for every new combination of facts, not once a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymesh.identity import InvalidSpiffeId, parse
from pymesh.xds import names

from ..http.exchange import Exchange
from ..tcp.session import Session
from .operators import grpc_status
from .peers import UNKNOWN, Peer, peer_of_endpoint
from .series import Labels

HTTP_LABELS = (
    "reporter", "source_workload", "source_canonical_service", "source_canonical_revision", "source_workload_namespace",
    "source_principal", "source_app", "source_version", "source_cluster", "destination_workload", "destination_workload_namespace",
    "destination_principal", "destination_app", "destination_version", "destination_service", "destination_canonical_service",
    "destination_canonical_revision", "destination_service_name", "destination_service_namespace", "destination_cluster",
    "request_protocol", "response_code", "grpc_response_status", "response_flags", "connection_security_policy",
)  # fmt: skip
"""In Istio's order of emission."""
TCP_LABELS = tuple(label for label in HTTP_LABELS if label not in ("response_code", "grpc_response_status"))

NOT_GRPC = -2
NO_GRPC_STATUS = -1

_SPECIAL_CLUSTERS = frozenset({
    names.BLACKHOLE_CLUSTER, names.PASSTHROUGH_CLUSTER, names.ALLOW_ANY_DYNAMIC_DNS_CLUSTER, names.INBOUND_PASSTHROUGH_CLUSTER,
})  # fmt: skip
_SPECIAL_ROUTES = {"block_all": names.BLACKHOLE_CLUSTER, "allow_any": names.PASSTHROUGH_CLUSTER}

Subject = Exchange | Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The service that was asked for."""

    host: str = "unknown"
    name: str = "unknown"
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side of a conversation."""

    peer: Peer
    principal: str = "unknown"
    namespace: str


def grpc_code(exchange: Exchange) -> int:
    """NOT_GRPC, NO_GRPC_STATUS or the status of a gRPC answer."""
    content_type = exchange.head.index.get(b"content-type")
    if content_type is None or not content_type.startswith(b"application/grpc"):
        return NOT_GRPC
    code = grpc_status(exchange)
    return NO_GRPC_STATUS if code is None else code


def declared_service(subject: Subject) -> Service | None:
    """The service named by the cluster's metadata `istio.services[0]`; None when it names none."""
    istio = subject.cluster.config.metadata.get("istio") if subject.cluster is not None else None
    services = istio.get("services") if isinstance(istio, Mapping) else None
    if not services:
        return None
    host = _field(services[0], "host") or "unknown"
    return Service(host=host, name=_field(services[0], "name") or host, namespace=_field(services[0], "namespace"))


def service_of(subject: Subject, host: bytes | None) -> Service:
    """The service asked for. `host` is the Host header where Istio falls back to it, else None."""
    if (declared := declared_service(subject)) is not None:
        return declared
    fallback = host.decode("utf-8", "backslashreplace") if host else "unknown"
    special = subject.cluster_name if subject.cluster_name in _SPECIAL_CLUSTERS else _SPECIAL_ROUTES.get(route_name(subject))
    return Service(host=fallback, name=special or fallback)


def route_name(subject: Subject) -> str:
    """The name of the route that matched; empty for none, and for TCP."""
    return subject.route.name if isinstance(subject, Exchange) and subject.route is not None else ""


def source_of(subject: Subject) -> Party:
    """The client of an inbound conversation. Its certificate is believed before its metadata, as in Istio."""
    peer = subject.source_peer or UNKNOWN
    principal = subject.downstream.peer.principal if subject.downstream.peer is not None else ""
    return Party(peer=peer, principal=principal or "unknown", namespace=_namespace(principal) or peer.namespace)


def destination_of(subject: Subject) -> Party:
    """The server of an outbound conversation, as it told itself, or as its endpoint's metadata tell."""
    peer = subject.destination_peer
    if peer is None:
        peer = peer_of_endpoint(subject.endpoint.config.workload) if subject.endpoint is not None else UNKNOWN
    certificate = subject.upstream_peer
    return Party(peer=peer, principal=(certificate and certificate.principal) or "unknown", namespace=peer.namespace)


def party(peer: Peer, principal: str = "") -> Party:
    """Ourselves, with our principal where it was shown."""
    return Party(peer=peer, principal=principal or "unknown", namespace=peer.namespace)


def shows_certificate(subject: Subject) -> bool:
    """Whether the connection upstream carries a certificate of ours."""
    endpoint = subject.endpoint
    return endpoint is not None and endpoint.tls is not None and bool(endpoint.tls.config.certificates)


def http_labels(reporter: str, source: Party, destination: Party, service: Service, exchange: Exchange, policy: str) -> Labels:
    """The values of HTTP_LABELS."""
    code = grpc_code(exchange)
    return (
        *_parties(reporter, source, destination, service), "http" if code == NOT_GRPC else "grpc", str(exchange.status),
        str(code) if code >= 0 else "", exchange.flags or "-", policy,
    )  # fmt: skip


def tcp_labels(reporter: str, source: Party, destination: Party, service: Service, session: Session, policy: str) -> Labels:
    """The values of TCP_LABELS."""
    return (*_parties(reporter, source, destination, service), "tcp", session.flags or "-", policy)


def _parties(reporter: str, source: Party, destination: Party, service: Service) -> Labels:
    client, server = source.peer, destination.peer
    return (
        reporter, client.workload, client.canonical_service, client.canonical_revision, source.namespace, source.principal, client.app,
        client.version, client.cluster, server.workload, destination.namespace, destination.principal, server.app, server.version,
        service.host, server.canonical_service, server.canonical_revision, service.name, service.namespace or destination.namespace,
        server.cluster,
    )  # fmt: skip


def _namespace(principal: str) -> str | None:
    try:
        return parse(principal).namespace if principal else None
    except InvalidSpiffeId:
        return None


def _field(service: Any, name: str) -> str:
    value = service.get(name) if isinstance(service, Mapping) else None
    return value if isinstance(value, str) else ""
