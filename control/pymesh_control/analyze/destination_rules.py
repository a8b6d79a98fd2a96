"""Policies for services that are not there, subsets without instances, and TLS that the other side does not speak."""

from collections.abc import Iterator
from typing import Any

from pymesh.api import hosts

from ..model.authentication import Mode
from ..model.service import Service
from ..model.workload import selects
from .rule import Found, rule
from .subject import Path, Subject

_POLICIES = ("trafficPolicy", "subsets[].trafficPolicy")
_PORTS = tuple(f"{policy}.portLevelSettings[]" for policy in _POLICIES)


@rule(
    "IST0174", "warning", "a DestinationRule is for a host that no service has", also="KIA0202",
    why="Its subsets and policies are used for nothing.",
    fix="Write the host as its service declares it, in full when the service is of another namespace.",
)  # fmt: skip
def rule_host(subject: Subject) -> Iterator[Found]:
    for resource, one in subject.rules:
        if not subject.knows(one.host, resource.namespace):
            yield Found(resource, ("host",), f"no service has the host {one.host}{subject.candidates(one.host)}")


@rule(
    "IST0173", "error", "a subset selects none of the instances of its service", also="KIA0203", on_load=True,
    why="Requests for the subset are answered with 503 (UH).",
    fix="Compare the subset's labels with those of the instances; every one of them has to be there.",
)  # fmt: skip
def subset_instances(subject: Subject) -> Iterator[Found]:
    for resource, one in subject.rules:
        service = subject.snapshot.service(one.host, resource.namespace)
        if service is None or service.resolution != "STATIC" or not one.subsets:
            continue
        instances = subject.instances(service)
        for index, subset in enumerate(one.subsets.values() if instances else ()):
            if not any(selects(subset.labels, labels) for labels in instances):
                yield Found(resource, ("subsets", index), f"subset {subset.name} selects none of the instances of {one.host}")


@rule(
    "KIA0209", "warning", "a subset has no labels",
    why="It is the whole service under another name, which is rarely wanted.",
    fix="Give it the labels of the instances that are meant.",
)  # fmt: skip
def subset_labels(subject: Subject) -> Iterator[Found]:
    for resource, path, subset in subject.each("DestinationRule", "subsets[]"):
        if not subset.labels:
            yield Found(resource, path, f"subset {subset.name} has no labels, so it is every instance")


@rule(
    "KIA0201", "warning", "two DestinationRules define one subset of one host",
    why="They are merged, and the older one's subset stays: what the other says of it is lost.",
    fix="Keep one of them.",
)  # fmt: skip
def duplicate_subset(subject: Subject) -> Iterator[Found]:
    held: dict[object, str] = {}
    for resource, one in subject.rules:
        selector = None if one.selector is None else frozenset(one.selector.items())
        for index, name in enumerate(one.subsets):
            first = held.setdefault((one.namespace, one.host, one.visibility, selector, name), resource.name)
            if first != resource.name:
                yield Found(resource, ("subsets", index), f"DestinationRule {first} defines a subset {name} of {one.host} already")


@rule(
    "PYM0201", "warning", "two DestinationRules have a policy for one host",
    why="They are merged, and the older one's trafficPolicy stays: the other's is lost.",
    fix="Put everything into one trafficPolicy.",
)  # fmt: skip
def duplicate_policy(subject: Subject) -> Iterator[Found]:
    held: dict[object, str] = {}
    for resource, one in subject.rules:
        if one.policy is None:
            continue
        selector = None if one.selector is None else frozenset(one.selector.items())
        first = held.setdefault((one.namespace, one.host, one.visibility, selector), resource.name)
        if first != resource.name:
            yield Found(resource, ("trafficPolicy",), f"DestinationRule {first} has a trafficPolicy for {one.host} already")


@rule(
    "IST0128", "warning", "TLS to a destination without an authority of one's own",
    why="Any certificate from any of the system's authorities is believed, and a private one is not.",
    fix="Set caCertificates (or credentialName), and subjectAltNames for the name that has to stand in the certificate.",
)  # fmt: skip
def unverified_destination(subject: Subject) -> Iterator[Found]:
    yield from _unverified(subject, _POLICIES[:1])


@rule(
    "IST0129", "warning", "TLS to a port without an authority of one's own",
    why="Any certificate from any of the system's authorities is believed, and a private one is not.",
    fix="Set caCertificates (or credentialName) in the port's tls: nothing is inherited from the policy above.",
)  # fmt: skip
def unverified_port(subject: Subject) -> Iterator[Found]:
    yield from _unverified(subject, _PORTS[:1])


@rule(
    "KIA0207", "error", "a policy sends plaintext to workloads that take mutual TLS only", also="KIA0208",
    why="Every connection is refused: clients see 503 (UC or UF).",
    fix="Take `tls` out (mutual TLS is automatic), or make the PeerAuthentication PERMISSIVE.",
)  # fmt: skip
def plaintext_to_strict(subject: Subject) -> Iterator[Found]:
    for resource, path, service, mode in _tls(subject):
        if mode in ("DISABLE", "SIMPLE") and Mode.STRICT in _modes(subject, service):
            yield Found(resource, path, f"tls mode {mode}, but PeerAuthentication makes {service.host} refuse all but mutual TLS")


@rule(
    "KIA0206", "error", "a policy sends mutual TLS to workloads that take plaintext only", also="KIA0205",
    why="Every handshake fails: clients see 503 (UF).",
    fix="Take `tls` out (mutual TLS is automatic), or let the PeerAuthentication allow it.",
)  # fmt: skip
def mutual_to_plaintext(subject: Subject) -> Iterator[Found]:
    for resource, path, service, mode in _tls(subject):
        if mode == "ISTIO_MUTUAL" and _modes(subject, service) == {Mode.DISABLE}:
            yield Found(resource, path, f"tls mode {mode}, but PeerAuthentication switches mutual TLS off for {service.host}")


@rule(
    "PYM0202", "warning", "a policy is for a port that the service does not have",
    why="It is used for nothing.",
    fix="Name a port that the service declares.",
)  # fmt: skip
def policy_port(subject: Subject) -> Iterator[Found]:
    services = {id(resource): subject.snapshot.service(one.host, resource.namespace) for resource, one in subject.rules}
    for resource, path, policy in subject.each("DestinationRule", *_PORTS):
        service, number = services[id(resource)], policy.port and policy.port.number
        if service and number and service.port(number) is None:
            yield Found(resource, (*path, "port"), f"{service.host} has no port {number}")


RULES = (
    rule_host, subset_instances, subset_labels, duplicate_subset, duplicate_policy, unverified_destination, unverified_port,
    plaintext_to_strict, mutual_to_plaintext, policy_port,
)  # fmt: skip


def _unverified(subject: Subject, fields: tuple[str, ...]) -> Iterator[Found]:
    """Not of subsets, and a credential by name counts where sidecars take it: as istioctl has it."""
    for resource, path, policy in subject.each("DestinationRule", *fields):
        tls = policy.tls
        if tls is None or tls.mode is None or tls.mode.value not in ("SIMPLE", "MUTUAL"):
            continue
        if not (tls.ca_certificates or (tls.credential_name and resource.spec.workload_selector)):
            yield Found(resource, (*path, "tls"), f"tls mode {tls.mode.value} without caCertificates")


def _tls(subject: Subject) -> Iterator[tuple[Any, Path, Service, str]]:
    """The TLS modes that rules set for one service of the mesh, or for each that their wildcard covers: the first stands for all."""
    services = {id(resource): _governed(subject, one.host, resource.namespace) for resource, one in subject.rules}
    for resource, path, policy in subject.each("DestinationRule", *_POLICIES, *_PORTS):
        service = services[id(resource)]
        if service and not service.external and policy.tls and policy.tls.mode:
            yield resource, (*path, "tls", "mode"), service, policy.tls.mode.value


def _governed(subject: Subject, pattern: str, namespace: str) -> Service | None:
    if not hosts.is_wildcard(pattern):
        return subject.snapshot.service(pattern, namespace)
    visible = subject.snapshot.visible(namespace).items()
    return next((one for host, one in visible if not one.external and hosts.subset_of(host, pattern)), None)


def _modes(subject: Subject, service: Service) -> set[Mode]:
    """The modes of its instances; the namespace's, while none is known."""
    known = subject.snapshot.authentication
    endpoints = [endpoint for some in subject.snapshot.instances(service).values() for endpoint in some]
    found = {known.mode(one.workload.namespace, one.workload.labels, one.port) for one in endpoints}
    return found or {known.namespace_mode(service.namespace)}
