"""Sidecars that contend, or import what is not there."""

from collections.abc import Iterator

from ..model.authentication import Mode
from ..model.service import full_name
from . import rivals
from .rule import Found, rule
from .subject import Subject


@rule(
    "IST0111", "error", "a namespace has several Sidecars without a selector", also="KIA0002",
    why="The oldest is used, the others do nothing.",
    fix="Join them, or give all but one a workloadSelector.",
)  # fmt: skip
def several_defaults(subject: Subject) -> Iterator[Found]:
    for one, first in rivals.both(rivals.for_all(subject.of("Sidecar"), rivals.labels)):
        yield Found(one, (), f"Sidecar {first.name} is for all workloads of namespace {one.namespace}, too")


@rule(
    "IST0110", "error", "two Sidecars select the same workloads", also="KIA0003",
    why="A proxy obeys one Sidecar, the oldest; the others do nothing.",
    fix="Join them, or give them selectors that exclude one another.",
)  # fmt: skip
def same_selector(subject: Subject) -> Iterator[Found]:
    for one, first in rivals.both(rivals.for_some(subject.of("Sidecar"), rivals.labels)):
        yield Found(one, ("workloadSelector",), f"Sidecar {first.name} selects the same workloads")


@rule(
    "KIA1004", "warning", "a Sidecar imports a host that no service has",
    why="Nothing is imported by it, and calls to that host are treated as calls to strangers.",
    fix="Write `namespace/host` with the full name of the service, or a wildcard that covers it.",
)  # fmt: skip
def egress_host(subject: Subject) -> Iterator[Found]:
    for resource, path, text in subject.each("Sidecar", "egress[].hosts[]"):
        place, _, host = text.partition("/")
        if not host or host == "*" or place.startswith("~"):
            continue
        full = full_name(host, resource.namespace)
        if not subject.knows(full, resource.namespace):
            yield Found(resource, path, f"no service has the host {full}{subject.candidates(full)}")


@rule(
    "KIA1006", "warning", "a Sidecar of the root namespace has a selector",
    why="There it selects only workloads of the root namespace itself: it is no default for the mesh.",
    fix="Leave workloadSelector out.",
)  # fmt: skip
def root_selector(subject: Subject) -> Iterator[Found]:
    root = subject.snapshot.mesh.root_namespace
    for resource in subject.of("Sidecar"):
        if resource.namespace == root and resource.spec.workload_selector is not None:
            yield Found(resource, ("workloadSelector",), f"selects workloads of {root} only, so that it is no default for the mesh")


@rule(
    "KIA1007", "info", "an outboundTrafficPolicy without a mode",
    why="That means REGISTRY_ONLY, while a mesh without any policy is ALLOW_ANY.",
    fix="Write the mode.",
)  # fmt: skip
def outbound_mode(subject: Subject) -> Iterator[Found]:
    for resource, path, policy in subject.each("Sidecar", "outboundTrafficPolicy"):
        if policy.mode is None:
            yield Found(resource, path, "has no mode, which means REGISTRY_ONLY")


@rule(
    "PYM0701", "warning", "a port of a Sidecar has TLS of its own, and mutual TLS of the mesh beside it", on_load=True,
    why="A port ends one TLS: where the mesh's is not off, the Sidecar's is not used, and clients without a sidecar get no further.",
    fix="Switch mutual TLS off for the port (portLevelMtls of a PeerAuthentication, mode DISABLE), or take `tls` out.",
)  # fmt: skip
def ingress_tls(subject: Subject) -> Iterator[Found]:
    known = subject.snapshot.authentication
    for resource, path, listener in subject.each("Sidecar", "ingress[]"):
        selector = resource.spec.workload_selector
        mode = known.mode(resource.namespace, selector.labels if selector else {}, listener.port.number or 0)
        if listener.tls is not None and mode is not Mode.DISABLE:
            yield Found(resource, (*path, "tls"), f"is not used: mutual TLS is {mode.value} on port {listener.port.number}")


RULES = (several_defaults, same_selector, egress_host, root_selector, outbound_mode, ingress_tls)
