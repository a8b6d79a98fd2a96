"""EnvoyFilters: what is changed of the resources that a proxy is sent, and in which order."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

from pymesh.api.envoy_values import message_of
from pymesh.api.models.envoyfilter import ApplyTo, EnvoyConfigObjectPatch, PatchContext, PatchOperation, ProxyMatch

from .origin import Origin
from .view import ProxyView
from .workload import selects

_INSERTING = (PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER, PatchOperation.INSERT_FIRST)
_ORDERED = (ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER, ApplyTo.LISTENER_FILTER, ApplyTo.HTTP_ROUTE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnvoyPatch:
    """One change. `listener`, `routes` and `cluster` are the conditions of its match, None where it has none of the kind."""

    origin: Origin
    """The EnvoyFilter that asks for it."""
    index: int
    """Its place among the changes of that."""
    apply_to: ApplyTo
    operation: PatchOperation
    context: PatchContext
    value: Any
    """The message that is merged or put in; None for REMOVE."""
    listener: Any = None
    routes: Any = None
    cluster: Any = None
    proxy: ProxyMatch | None = None

    @property
    def merges(self) -> bool:
        return self.operation in (PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST)

    @property
    def replaces_lists(self) -> bool:
        return self.operation is PatchOperation.MERGE_AND_REPLACE_LIST


class Effects:
    """What became of changes: those that were made, and those whose value is not of the type of what they met."""

    __slots__ = ("done", "misfits")

    def __init__(self) -> None:
        self.done: set[EnvoyPatch] = set()
        self.misfits: dict[EnvoyPatch, str] = {}
        """With what was met."""

    @property
    def origins(self) -> list[Origin]:
        """The EnvoyFilters that something was done for."""
        return sorted({one.origin for one in (*self.done, *self.misfits)})

    def merged(self, one: EnvoyPatch, met: str) -> None:
        """A value was merged into what it met, which is told where it does not fit."""
        if met:
            self.misfits[one] = met
        else:
            self.done.add(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One EnvoyFilter resource."""

    name: str
    namespace: str
    priority: int
    created: float
    """Seconds since 1970; 0 where nothing says."""
    selector: Mapping[str, str]
    patches: tuple[EnvoyPatch, ...]


@dataclass(frozen=True, slots=True)
class Patches:
    """The changes for one proxy, in the order in which they are made; equal proxies share one by `key`."""

    key: tuple[int, ...] = ()
    by_target: Mapping[ApplyTo, tuple[EnvoyPatch, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.key)

    def of(self, target: ApplyTo, context: PatchContext) -> list[EnvoyPatch]:
        """The changes to one kind of thing in one direction."""
        return [one for one in self.by_target.get(target, ()) if one.context in (PatchContext.ANY, context)]

    def touch(self, targets: Iterable[ApplyTo], context: PatchContext) -> bool:
        """Whether any change is to one of these kinds of things."""
        return any(self.of(target, context) for target in targets)


class EnvoyFilters:
    """All EnvoyFilters: those of the root namespace come first, then by priority, age and name."""

    def __init__(self, filters: Iterable[Filter], root_namespace: str) -> None:
        self._root = root_namespace
        self._ordered = sorted(
            filters, key=lambda one: (one.namespace != root_namespace, one.priority, one.created, one.name, one.namespace)
        )  # fmt: skip
        self._known: dict[tuple[int, ...], Patches] = {}

    def of(self, view: ProxyView) -> Patches:
        """What is changed for a proxy."""
        if not self._ordered:
            return NO_PATCHES
        found = [
            patch
            for one in self._ordered
            if one.namespace in (self._root, view.namespace) and selects(one.selector, view.labels)
            for patch in one.patches
            if _is_for(patch.proxy, view.metadata)
        ]
        key = tuple(map(id, found))
        return self._known.setdefault(key, Patches(key, _by_target(found))) if key else NO_PATCHES


NO_PATCHES = Patches()


def _by_target(patches: Iterable[EnvoyPatch]) -> dict[ApplyTo, tuple[EnvoyPatch, ...]]:
    found: dict[ApplyTo, list[EnvoyPatch]] = {}
    for one in patches:
        found.setdefault(one.apply_to, []).append(one)
    return {target: tuple(ones) for target, ones in found.items()}


def _is_for(wanted: ProxyMatch | None, metadata: Mapping[str, Any]) -> bool:
    """Whether a proxy has the version and metadata asked for; one that tells no version has none that matches."""
    if wanted is None:
        return True
    version = str(metadata.get("ISTIO_VERSION", ""))
    if wanted.proxy_version and not (version and re2.search(wanted.proxy_version, version)):
        return False
    return all(metadata.get(name) == value for name, value in wanted.metadata.items())


def from_resource(resource: Any) -> Filter:
    spec = resource.spec
    origin = Origin("EnvoyFilter", resource.namespace, resource.name)
    return Filter(
        name=resource.name,
        namespace=resource.namespace,
        priority=spec.priority or 0,
        created=resource.created.timestamp() if resource.created else 0.0,
        selector=dict(spec.workload_selector.labels) if spec.workload_selector else {},
        patches=tuple(_patch(_Change(change), origin, index) for index, change in enumerate(spec.config_patches)),
    )


def _operation(target: ApplyTo, wanted: PatchOperation) -> PatchOperation:
    """Inserting where there is no order is adding."""
    return PatchOperation.ADD if wanted in _INSERTING and target not in _ORDERED else wanted


class _Change:
    """A change that is known again by identity: resources outlive the snapshots that are made of them, and are never altered."""

    __slots__ = ("change",)

    def __init__(self, change: EnvoyConfigObjectPatch) -> None:
        self.change = change

    def __hash__(self) -> int:
        return id(self.change)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Change) and self.change is other.change


@functools.lru_cache(maxsize=4096)
def _patch(held: _Change, origin: Origin, index: int) -> EnvoyPatch:
    change = held.change
    assert change.apply_to is not None  # validation has seen to it
    assert change.patch is not None
    assert change.patch.operation is not None
    match = change.match
    return EnvoyPatch(
        origin=origin,
        index=index,
        apply_to=change.apply_to,
        operation=_operation(change.apply_to, change.patch.operation),
        context=match.context if match and match.context else PatchContext.ANY,
        value=None if change.patch.operation is PatchOperation.REMOVE else message_of(change.apply_to, change.patch.value),
        listener=match.listener if match else None,
        routes=match.route_configuration if match else None,
        cluster=match.cluster if match else None,
        proxy=match.proxy if match else None,
    )
