"""EnvoyFilters that hang on one another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymesh.api import Resource
from pymesh.api.models.envoyfilter import ApplyTo, PatchContext, PatchOperation
from pymesh.xds import names

from ..model.envoyfilter import from_resource
from .rule import Found, rule
from .subject import Subject

_ADDING = frozenset({"ADD", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER"})
_INSERTING = frozenset({"INSERT_BEFORE", "INSERT_AFTER"})
_REPLACED = frozenset({"HTTP_FILTER", "NETWORK_FILTER", "VIRTUAL_HOST"})
_NEVER_REMOVED = frozenset({"ROUTE_CONFIGURATION", "HTTP_ROUTE"})
_FILTERS = frozenset({"HTTP_FILTER", "NETWORK_FILTER"})


@rule(
    "IST0151", "warning", "an EnvoyFilter without a priority changes what it has to find",
    why="Of equal priorities the older is applied first: made again in another order, this one may find nothing to change.",
    fix="Give it a `priority`, or use ADD or INSERT_FIRST.",
)  # fmt: skip
def relative_operation(subject: Subject) -> Iterator[Found]:
    for resource, index, operation, seen in _relative(subject):
        if not seen:
            text = f"{operation} depends on what others have made before, and there is no priority"
            yield Found(resource, ("configPatches", index), text)


@rule(
    "IST0155", "warning", "an EnvoyFilter without a priority changes what others change for some versions of the proxy only",
    why="Which of them is applied first is a matter of age, and what there is to find one of the proxy's version.",
    fix="Give it a `priority`, and the others another one.",
)  # fmt: skip
def relative_to_versions(subject: Subject) -> Iterator[Found]:
    for resource, index, operation, seen in _relative(subject):
        if seen:
            text = f"{operation} of {seen}, which an EnvoyFilter for some versions of the proxy changes, and there is no priority"
            yield Found(resource, ("configPatches", index), text)


@rule(
    "PYM0803", "warning", "an EnvoyFilter inserts beside a filter that another EnvoyFilter of the same priority adds",
    why="Of equal priorities the older is applied first: made again in another order, this one finds nothing to stand beside.",
    fix="Give it a higher `priority` than the other, or use INSERT_FIRST.",
)  # fmt: skip
def beside_another(subject: Subject) -> Iterator[Found]:
    added: dict[tuple[str, str], list[Resource]] = {}
    for resource, _, kind, change in _changes(subject):
        value = change.patch.value
        if change.patch.operation.value in _ADDING and isinstance(value, dict):
            added.setdefault((kind, str(value.get("name", ""))), []).append(resource)
    for resource, index, kind, change in _changes(subject):
        anchor = _anchor(kind, change.match)
        if change.patch.operation.value not in _INSERTING or not anchor:
            continue
        rank = _rank(subject, resource)
        other = next((one for one in added.get((kind, anchor), ()) if one is not resource and _rank(subject, one) == rank), None)
        if other:
            text = f"stands beside {anchor}, which EnvoyFilter {other.namespace}/{other.name} adds with the same priority"
            yield Found(resource, ("configPatches", index, "patch", "operation"), text)


@rule(
    "PYM0801", "warning", "an EnvoyFilter adds a cluster or listener whose name is taken", on_load=True,
    why="Proxies refuse two of one name: what is there already stays, and the new one is left out.",
    fix="Give it a name of its own; to change what is there, use MERGE.",
)  # fmt: skip
def taken_name(subject: Subject) -> Iterator[Found]:
    added: list[_Added] = []
    for resource, index, one in _new(subject):
        taker = _taker(subject, one) or next((f"EnvoyFilter {first.where} adds" for first in added if first.meets(one, subject)), None)
        if taker:
            text = f"the {one.target.value.lower()} {one.name} is left out where {taker} one of this name"
            yield Found(resource, ("configPatches", index, "patch", "value"), text)
        added.append(one)


RULES = (relative_operation, relative_to_versions, beside_another, taken_name)


@dataclass(frozen=True, slots=True)
class _Added:
    """A cluster or listener that an EnvoyFilter brings, and for which proxies."""

    target: ApplyTo
    name: str
    where: str
    namespace: str
    labels: Mapping[str, str]
    context: PatchContext

    def meets(self, other: "_Added", subject: Subject) -> bool:
        """Whether both may come to one proxy under one name."""
        return (
            (self.target, self.name) == (other.target, other.name)
            and (self.namespace == other.namespace or subject.snapshot.mesh.root_namespace in (self.namespace, other.namespace))
            and all(self.labels[key] == value for key, value in other.labels.items() if key in self.labels)
            and (PatchContext.ANY in (self.context, other.context) or self.context is other.context)
        )


def _relative(subject: Subject) -> Iterator[tuple[Resource, int, str, str]]:
    """Operations without a priority that hang on what there is, with the name in them if an earlier patch for versions has it."""
    for_versions: set[str] = set()
    for resource in subject.of("EnvoyFilter"):
        for index, change in enumerate(resource.spec.config_patches):
            if change.patch is None:
                break  # as istioctl, which looks no further
            name, operation = _named(change), change.patch.operation.value if change.patch.operation else ""
            if not resource.spec.priority and _hangs(operation, change.apply_to.value if change.apply_to else ""):
                yield resource, index, operation, name if name in for_versions else ""
            if change.match and change.match.proxy and change.match.proxy.proxy_version:
                for_versions.add(name)


def _hangs(operation: str, target: str) -> bool:
    """Whether an operation has to find something, and does anything at all."""
    if operation == "REMOVE":
        return target not in _NEVER_REMOVED
    return operation in _INSERTING or (operation == "REPLACE" and target in _REPLACED)


def _named(change: Any) -> str:
    """The name of what is made, else of the filter that is looked for."""
    value = change.patch.value
    if not isinstance(value, dict) or not value:
        return ""
    return str(value["name"]) if "name" in value else _anchor("NETWORK_FILTER", change.match)


def _new(subject: Subject) -> Iterator[tuple[Resource, int, _Added]]:
    """Everything that EnvoyFilters add whole, in the order in which it is made."""
    for resource in sorted(subject.of("EnvoyFilter"), key=lambda one: _rank(subject, one)):
        made = from_resource(resource)
        for index, patch in enumerate(made.patches):
            if patch.operation is PatchOperation.ADD and patch.apply_to in (ApplyTo.CLUSTER, ApplyTo.LISTENER):
                where = f"{resource.namespace}/{resource.name}"
                yield resource, index, _Added(patch.apply_to, patch.value.name, where, resource.namespace, made.selector, patch.context)


def _taker(subject: Subject, one: _Added) -> str | None:
    """Who among those that are not EnvoyFilters gives a proxy something of this name; their verb with them."""
    if one.target is ApplyTo.LISTENER:
        _, _, port = one.name.rpartition("_")
        if one.name in _LISTENERS:
            return "every sidecar has"
        return "a service's port has" if one.name.startswith("0.0.0.0_") and _is_served(subject, port) else None
    if one.name in _CLUSTERS:
        return "every proxy has"
    parsed = names.parse_cluster(one.name)
    service = subject.snapshot.service(parsed.host, one.namespace) if parsed else None
    if parsed is None or service is None or service.port(parsed.port) is None:
        return None
    rule = subject.snapshot.rules.find(service.host, service.namespace, one.namespace, {})
    return f"{parsed.host} has" if not parsed.subset or (rule and parsed.subset in rule.subsets) else None


def _is_served(subject: Subject, port: str) -> bool:
    return any(str(own.number) == port and own.protocol.is_http for service in subject.snapshot.services for own in service.ports)


_LISTENERS = frozenset({names.VIRTUAL_INBOUND, names.VIRTUAL_OUTBOUND})
_CLUSTERS = frozenset({names.BLACKHOLE_CLUSTER, names.PASSTHROUGH_CLUSTER, names.INBOUND_PASSTHROUGH_CLUSTER})


def _changes(subject: Subject) -> Iterator[tuple[Resource, int, str, Any]]:
    """The changes to filters, with their places and what they apply to."""
    for resource in subject.of("EnvoyFilter"):
        for index, change in enumerate(resource.spec.config_patches):
            if change.patch and change.patch.operation and change.apply_to and change.apply_to.value in _FILTERS:
                yield resource, index, change.apply_to.value, change


def _anchor(kind: str, match: Any) -> str:
    """The name of the filter beside which a change is made."""
    chain = match.listener.filter_chain if match and match.listener else None
    outer = chain.filter if chain else None
    inner = outer.sub_filter if outer and kind == "HTTP_FILTER" else outer
    return (inner.name or "") if inner else ""


def _rank(subject: Subject, resource: Resource) -> tuple[bool, int]:
    """What goes before age: those of the root namespace come first, then those of lower priority."""
    return resource.namespace != subject.snapshot.mesh.root_namespace, resource.spec.priority or 0
