"""Policies that contend, and conditions that can never hold."""

import re
from collections.abc import Iterator

from ..model.authentication import Mode
from ..model.service import full_name
from . import rivals
from .rule import Found, rule
from .subject import Subject

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_PRINCIPAL = re.compile(r"([^/*]+)/ns/([^/*]+)/sa/(.*)")


@rule(
    "KIA0002", "error", "a namespace has several PeerAuthentications without a selector",
    why="The oldest is used, the others do nothing.",
    fix="Keep one of them.",
)  # fmt: skip
def several_peer_defaults(subject: Subject) -> Iterator[Found]:
    for one, first in rivals.both(rivals.for_all(subject.of("PeerAuthentication"), rivals.match_labels)):
        yield Found(one, (), f"PeerAuthentication {first.name} is for all workloads of namespace {one.namespace}, too")


@rule(
    "KIA0003", "error", "two PeerAuthentications select the same workloads",
    why="The oldest is used, the others do nothing.",
    fix="Join them, or give them selectors that exclude one another.",
)  # fmt: skip
def same_peer_selector(subject: Subject) -> Iterator[Found]:
    for one, first in rivals.both(rivals.for_some(subject.of("PeerAuthentication"), rivals.match_labels)):
        yield Found(one, ("selector",), f"PeerAuthentication {first.name} selects the same workloads")


@rule(
    "IST0101", "warning", "an AuthorizationPolicy speaks of a namespace of which nothing is known", also="KIA0101",
    why="No request comes from there: an ALLOW rule allows nobody, a DENY rule denies nobody.",
    fix="Correct the name.",
)  # fmt: skip
def source_namespace(subject: Subject) -> Iterator[Found]:
    for resource, path, name in subject.each("AuthorizationPolicy", *_fields("namespaces", "notNamespaces")):
        if "*" not in name and name not in subject.namespaces:
            yield Found(resource, path, f"nothing is known of a namespace {name}")


@rule(
    "KIA0102", "warning", "an AuthorizationPolicy names a method that HTTP does not have",
    why="Methods are compared as they are written: `get` is not GET. gRPC's methods are paths; its requests are all POST.",
    fix="Write the method in capitals; for gRPC use `paths`.",
)  # fmt: skip
def operation_method(subject: Subject) -> Iterator[Found]:
    fields = (f"rules[].to[].operation.{name}[]" for name in ("methods", "notMethods"))
    for resource, path, name in subject.each("AuthorizationPolicy", *fields):
        if "*" not in name and name not in _METHODS:
            yield Found(resource, path, f"{name!r} is not a method of HTTP")


@rule(
    "KIA0105", "error", "an AuthorizationPolicy asks who the client is where mutual TLS is off",
    why="Without mutual TLS nobody has an identity: an ALLOW rule never holds, and a DENY rule denies nobody.",
    fix="Let PeerAuthentication be PERMISSIVE or STRICT, or decide by other conditions.",
)  # fmt: skip
def needs_mutual_tls(subject: Subject) -> Iterator[Found]:
    for resource, path, _ in subject.each("AuthorizationPolicy", *_fields("principals", "notPrincipals", "namespaces", "notNamespaces")):
        if resource.namespace == subject.snapshot.mesh.root_namespace:
            continue
        if subject.snapshot.authentication.namespace_mode(resource.namespace) is Mode.DISABLE:
            yield Found(resource, path, f"mutual TLS is switched off in namespace {resource.namespace}, so clients have no identity")


@rule(
    "KIA0108", "warning", "an AuthorizationPolicy names a principal of another trust domain",
    why="Certificates of this mesh are of its own trust domain: the principal never comes.",
    fix="Write the mesh's trust domain, or add the other one to trustDomainAliases.",
)  # fmt: skip
def principal_domain(subject: Subject) -> Iterator[Found]:
    domains = {*subject.snapshot.mesh.trust_domains, "cluster.local"}  # cluster.local stands for whichever it is
    for resource, path, name in subject.each("AuthorizationPolicy", *_fields("principals", "notPrincipals")):
        parts = _PRINCIPAL.fullmatch(name)
        if parts and parts[1] not in domains:
            yield Found(resource, path, f"{parts[1]} is not a trust domain of this mesh")


@rule(
    "KIA0106", "warning", "an AuthorizationPolicy names a service account that no pod runs as",
    why="The principal never comes: an ALLOW rule allows nobody, a DENY rule denies nobody.",
    fix="Correct the name, or the namespace before it.",
)  # fmt: skip
def principal_account(subject: Subject) -> Iterator[Found]:
    accounts = {(one.namespace, one.service_account) for one in subject.snapshot.workloads}
    for resource, path, name in subject.each("AuthorizationPolicy", *_fields("principals", "notPrincipals")):
        parts = _PRINCIPAL.fullmatch(name)
        if parts and "*" not in parts[3] and subject.has_pods(parts[2]) and (parts[2], parts[3]) not in accounts:
            yield Found(resource, path, f"no pod of namespace {parts[2]} runs as service account {parts[3]}")


@rule(
    "KIA0104", "info", "an AuthorizationPolicy names a host that nothing has",
    why="Requests carry other hosts: a DENY rule for this one denies nobody, an ALLOW rule allows nobody.",
    fix="Write the host as clients call it: a service's full name, or a host of a VirtualService.",
)  # fmt: skip
def operation_host(subject: Subject) -> Iterator[Found]:
    routed = frozenset(host for _, one in subject.virtual_services for host in one.hosts)
    fields = (f"rules[].to[].operation.{name}[]" for name in ("hosts", "notHosts"))
    for resource, path, text in subject.each("AuthorizationPolicy", *fields):
        host = text.partition(":")[0].lower()
        if "*" not in host and host not in routed and not subject.knows(full_name(host, resource.namespace), resource.namespace):
            yield Found(resource, path, f"no service and no VirtualService has the host {host}")


RULES = (
    several_peer_defaults, same_peer_selector, source_namespace, operation_method, needs_mutual_tls, principal_domain, principal_account,
    operation_host,
)  # fmt: skip


def _fields(*names: str) -> Iterator[str]:
    """Members of the sources of all rules."""
    return (f"rules[].from_[].source.{name}[]" for name in names)
