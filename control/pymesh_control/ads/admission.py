"""Who may open a stream, and as whom: Istio's check that a client is the workload it says it is."""

from collections.abc import Callable
from typing import Any

from pymesh.identity import SpiffeId
from pymesh.xds import node as nodes

from ..errors import InvalidClient, PermissionDenied, Unauthenticated

Admit = Callable[[str, Any], SpiffeId | None]
"""`(gRPC peer, node)` -> the stream's identity; raises RefusedClient."""


def anyone(_peer: str, _node: Any) -> SpiffeId | None:
    """The plaintext port asks for no identity and gives none."""
    return None


def as_itself(identity: SpiffeId | None, node: Any, trust_domain: str) -> SpiffeId:
    """The identity of a certificate, when it is that of the node; raises RefusedClient with the reason otherwise."""
    if identity is None:
        raise Unauthenticated("this port serves clients that show a certificate with their SPIFFE id; this connection shows none")
    if identity.trust_domain != trust_domain:
        raise PermissionDenied(f"certificate {identity} is of another trust domain than {trust_domain}")
    namespace, account = claims(node)
    if identity.namespace != namespace:
        raise PermissionDenied(f"certificate {identity} does not belong to namespace {namespace!r}, which node {node.id!r} claims")
    if account is not None and identity.service_account != account:
        raise PermissionDenied(f"certificate {identity} does not belong to service account {account!r}, which node {node.id!r} claims")
    named = _namespace_in(node.id)
    if named not in (None, namespace):
        raise PermissionDenied(f"node {node.id!r} is of namespace {named!r}, and its metadata claim {namespace!r}")
    return identity


def claims(node: Any) -> tuple[str, str | None]:
    """The namespace, and the service account if any, that a node's first request gives as its own."""
    metadata = node.metadata.fields
    account = metadata["SERVICE_ACCOUNT"].string_value if "SERVICE_ACCOUNT" in metadata else None
    if "NAMESPACE" in metadata:
        return metadata["NAMESPACE"].string_value, account
    try:
        return nodes.parse(node.id).namespace, account
    except nodes.InvalidNodeId as error:
        raise InvalidClient(str(error)) from None


def _namespace_in(node_id: str) -> str | None:
    """The namespace of a node id, by which proxies are told apart everywhere; None for a name that is not of Istio's form."""
    try:
        return nodes.parse(node_id).namespace
    except nodes.InvalidNodeId:
        return None
