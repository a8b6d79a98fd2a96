"""What holds for the mesh as a whole: kinds without effect, settings that are not used, telemetry."""

from collections.abc import Iterator

from ..model.filelog import BUILT_IN
from ..model.kubernetes.services import NODE_SELECTOR, host_of, is_at_nodes, selected_nodes
from ..model.mesh import PROMETHEUS
from ..model.support import INERT, spell, walk
from ..model.unused import unused
from ..model.whereabouts import NETWORK_LABEL
from . import rivals
from .rule import Found, rule
from .subject import Subject

_PROVIDERS = frozenset({PROMETHEUS, BUILT_IN, "stackdriver"})
"""Providers that every mesh of Istio's has."""


@rule(
    "IST0167", "warning", "a resource of a kind that does nothing here", on_load=True,
    why="It is read and checked, and no proxy of this mesh does what it says.",
    fix="Do not count on it.",
)  # fmt: skip
def no_effect(subject: Subject) -> Iterator[Found]:
    for kind, reason in INERT.items():
        for resource in subject.of(kind):
            yield Found(resource, (), f"has no effect here: {reason}")


@rule(
    "PYM0501", "warning", "a second MeshConfig", on_load=True,
    why="A mesh has one; the older is used.",
    fix="Join them.",
)  # fmt: skip
def second_settings(subject: Subject) -> Iterator[Found]:
    for resource in list(subject.of("ConfigMap"))[1:]:
        yield Found(resource, (), "the mesh is configured already: this one is not used")


@rule(
    "PYM0502", "warning", "a setting of the MeshConfig that does nothing here", on_load=True,
    why="It is read and checked, and no proxy of this mesh is told of it.",
    fix="Do as the sentence says, or do not count on it.",
)  # fmt: skip
def unused_settings(subject: Subject) -> Iterator[Found]:
    for resource in list(subject.of("ConfigMap"))[:1]:
        for path, reason in unused(resource.spec):
            yield Found(resource, path, f"{spell(path)} has no effect here: {reason}")


@rule(
    "PYM0503", "warning", "a default provider that proxies do not report to", on_load=True,
    why="It is not there, or of a kind that is not served.",
    fix="For logs name `envoy`, or a provider that has envoyFileAccessLog; for metrics `prometheus`.",
)  # fmt: skip
def default_provider(subject: Subject) -> Iterator[Found]:
    for resource in list(subject.of("ConfigMap"))[:1]:
        providers = resource.spec.extension_providers
        files = {BUILT_IN, *(one.name for one in providers if one.envoy_file_access_log is not None)}
        counters = {PROMETHEUS, *(one.name for one in providers if one.prometheus is not None)}
        for path, name in walk(resource.spec, "defaultProviders.accessLogging[]"):
            if name not in files:
                yield Found(resource, path, f"no provider {name} writes access logs into a file")
        for path, name in walk(resource.spec, "defaultProviders.metrics[]"):
            if name not in counters:
                yield Found(resource, path, f"no provider {name} takes metrics from Prometheus' page")


@rule(
    "PYM0505", "warning", "a network's gateway that nobody can use, or not as it says", on_load=True,
    why="Workloads of other networks get there by another gateway, or not at all.",
    fix="Name a service of this mesh that has an address towards the outside, or an address.",
)  # fmt: skip
def network_gateway(subject: Subject) -> Iterator[Found]:
    for resource, path, gateway in subject.each("MeshNetworks", "networks{}.gateways[]"):
        if gateway.locality:
            yield Found(resource, (*path, "locality"), "has no effect: gateways are in the localities of what they lead to, as in Istio")
        network = path[1]
        if gateway.registry_service_name and all(one.network != network for one in subject.snapshot.networks.stated):
            sentence = f"{gateway.registry_service_name} has no address by which others get into network {network}"
            yield Found(resource, (*path, "registryServiceName"), sentence)
    yield from _labelled_gateways(subject)


def _labelled_gateways(subject: Subject) -> Iterator[Found]:
    """Services with the label of a network that are no way into it."""
    for resource in subject.of("Service"):
        service = subject.snapshot.service(host_of(resource), resource.namespace)
        if service is None or not service.edge.network:
            continue
        if is_at_nodes(resource) and selected_nodes(resource) is None:
            yield Found(resource, ("metadata", "annotations", NODE_SELECTOR), f"{NODE_SELECTOR} is no JSON object of labels")
        elif not service.edge.addresses:
            where = f"has no address by which others get into network {service.edge.network}"
            yield Found(resource, ("metadata", "labels", NETWORK_LABEL), where)


@rule(
    "PYM0506", "warning", "a WorkloadGroup's probe", on_load=True,
    why="Proxies that run are not told of it: they run the probe of their own settings, if there is one.",
    fix="Put it into the PROXY_CONFIG of the group's proxies, as readinessProbe.",
)  # fmt: skip
def group_probe(subject: Subject) -> Iterator[Found]:
    for resource, path, _ in subject.each("WorkloadGroup", "probe"):
        yield Found(resource, path, "has no effect on proxies that run: it belongs into their PROXY_CONFIG, as readinessProbe")


@rule(
    "IST0159", "error", "two Telemetries select the same workloads",
    why="Istio uses one of them, the oldest.",
    fix="Join them, or give them selectors that exclude one another.",
)  # fmt: skip
def same_telemetry_selector(subject: Subject) -> Iterator[Found]:
    for one, first in rivals.both(rivals.for_some(subject.of("Telemetry"), rivals.match_labels)):
        yield Found(one, ("selector",), f"Telemetry {first.name} selects the same workloads")


@rule(
    "IST0160", "error", "a namespace has several Telemetries without a selector",
    why="Istio uses one of them, the oldest.",
    fix="Join them.",
)  # fmt: skip
def several_telemetry_defaults(subject: Subject) -> Iterator[Found]:
    attached = [one for one in subject.of("Telemetry") if not one.spec.target_ref and not one.spec.target_refs]
    for one, first in rivals.both(rivals.for_all(attached, rivals.match_labels)):
        yield Found(one, (), f"Telemetry {first.name} is for all workloads of namespace {one.namespace}, too")


@rule(
    "IST0157", "warning", "a Telemetry names a provider that the mesh does not have",
    why="Nothing is sent to a provider of which the mesh knows no address.",
    fix="Name one of the MeshConfig's extensionProviders, or of those that every mesh has.",
)  # fmt: skip
def telemetry_provider(subject: Subject) -> Iterator[Found]:
    fields = (f"{part}[].providers[]" for part in ("tracing", "metrics", "accessLogging"))
    own = {one.name for resource in list(subject.of("ConfigMap"))[:1] for one in resource.spec.extension_providers}
    for resource, path, provider in subject.each("Telemetry", *fields):
        if provider.name not in _PROVIDERS | own:
            yield Found(resource, path, f"the mesh has no provider {provider.name}")


@rule(
    "KIA0005", "warning", "exportTo names a namespace of which nothing is known",
    why="Whoever should see the resource does not: it is exported to nobody.",
    fix="Correct the name; `.` is the resource's own namespace, `*` every one.",
)  # fmt: skip
def export_namespace(subject: Subject) -> Iterator[Found]:
    for kind in ("VirtualService", "DestinationRule", "ServiceEntry"):
        for resource, path, name in subject.each(kind, "exportTo[]"):
            if name not in (".", "*", "~") and name not in subject.namespaces:
                yield Found(resource, path, f"nothing is known of a namespace {name}")


RULES = (
    no_effect,
    second_settings,
    unused_settings,
    default_provider,
    network_gateway,
    group_probe,
    same_telemetry_selector,
    several_telemetry_defaults,
    telemetry_provider,
    export_namespace,
)
