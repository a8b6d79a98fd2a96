"""EnvoyFilters whose changes do nothing: tried on what proxies would be sent that the mesh is known to have, or could have."""

from collections.abc import Iterator, Mapping

from pymesh.address import is_ip
from pymesh.api.models.envoyfilter import ApplyTo, PatchContext, PatchOperation
from pymesh.xds import node

from ..generate import effects
from ..model.envoyfilter import Effects, EnvoyPatch, Filter, from_resource
from ..model.view import ENVOY, PYMESH, ProxyView
from ..model.workload import selects
from .rule import Found, rule
from .subject import Subject

_WHOLE = frozenset({ApplyTo.CLUSTER, ApplyTo.LISTENER})
_SIDECAR = frozenset({PatchContext.SIDECAR_INBOUND, PatchContext.SIDECAR_OUTBOUND})
_MOST = 10
"""Proxies of one kind that an EnvoyFilter is tried on."""


@rule(
    "PYM0802", "warning", "a change of an EnvoyFilter that does nothing",
    why="Its match names nothing that is generated for its proxies, or its configuration is of another type than what is there, into which"
    " it cannot be merged. Istio does nothing then, either, and says nothing.",
    fix="Look at names, ports and types with `pymesh proxy-config listeners -o yaml`, `clusters` and `routes`, and correct match or value.",
)  # fmt: skip
def idle_change(subject: Subject) -> Iterator[Found]:
    trials = _Trials(subject)
    for resource in subject.of("EnvoyFilter"):
        made = from_resource(resource)
        noted, judged = trials.of(made)
        for one in made.patches:
            place = ("configPatches", one.index)
            if one in noted.misfits and one not in noted.done:
                text = f"is not merged: what it is for has {noted.misfits[one]} where it brings a configuration of another type"
                yield Found(resource, (*place, "patch", "value"), text)
            elif one not in noted.done and _can_be_judged(one, judged):
                yield Found(resource, place, "changes nothing of what the proxies are sent that it is for")


RULES = (idle_change,)


def _can_be_judged(one: EnvoyPatch, judged: set[PatchContext]) -> bool:
    """Whether the proxies that it was tried on can tell; names that are taken are another rule's."""
    if one.proxy is not None or (one.operation is PatchOperation.ADD and one.apply_to in _WHOLE):
        return False
    return one.context in judged or (one.context is PatchContext.ANY and judged >= _SIDECAR)


class _Trials:
    """What the EnvoyFilters of a mesh do to single proxies, each tried once."""

    def __init__(self, subject: Subject) -> None:
        self._snapshot = subject.snapshot
        self._noted: dict[tuple[object, ...], Effects] = {}

    def of(self, made: Filter) -> tuple[Effects, set[PatchContext]]:
        """What becomes of an EnvoyFilter's changes at the proxies that it is for, and in which directions these tell anything."""
        total, judged = Effects(), set[PatchContext]()
        for kind, namespace, labels, ip in (*self._sidecars(made), *self._gateways(made)):
            noted = self._at(kind, namespace, labels, ip)
            total.done |= noted.done
            total.misfits |= noted.misfits
            judged |= {PatchContext.GATEWAY} if kind == node.ROUTER else _SIDECAR if ip else {PatchContext.SIDECAR_OUTBOUND}
        return total, judged

    def _sidecars(self, made: Filter) -> Iterator[tuple[str, str, Mapping[str, str], str]]:
        """Those of workloads that are known, of many that carry the same labels one; and one that calls services and has no application."""
        found: dict[object, tuple[str, str, Mapping[str, str], str]] = {}
        for one in self._snapshot.workloads:
            reached = made.namespace in (one.namespace, self._snapshot.mesh.root_namespace) and selects(made.selector, one.labels)
            if reached and is_ip(one.ip) and not self._is_edge(one.labels):
                key = (one.namespace, *sorted(one.labels.items()))
                found.setdefault(key, (node.SIDECAR, one.namespace, one.labels, one.ip))
        yield from list(found.values())[:_MOST]
        if self._snapshot.services:
            yield node.SIDECAR, made.namespace, made.selector, ""

    def _is_edge(self, labels: Mapping[str, str]) -> bool:
        return any(one.selector and selects(one.selector, labels) for one in self._snapshot.gateways)

    def _gateways(self, made: Filter) -> Iterator[tuple[str, str, Mapping[str, str], str]]:
        """Proxies that serve a Gateway, with the labels that both ask for."""
        for one in self._snapshot.gateways[:_MOST]:
            labels = {**made.selector, **one.selector}
            if selects(made.selector, labels):
                yield node.ROUTER, one.namespace or made.namespace, labels, ""

    def _at(self, kind: str, namespace: str, labels: Mapping[str, str], ip: str) -> Effects:
        key = (kind, namespace, ip, *sorted(labels.items()))
        if key not in self._noted:
            self._noted[key] = noted = Effects()
            for flavor in (ENVOY, PYMESH):
                view = ProxyView(
                    node_id="", type=kind, ip=ip, name="", namespace=namespace, flavor=flavor, labels=labels, ips=(ip,) if ip else ()
                )  # fmt: skip
                told = effects(self._snapshot, view)
                noted.done |= told.done
                noted.misfits |= told.misfits
        return self._noted[key]
