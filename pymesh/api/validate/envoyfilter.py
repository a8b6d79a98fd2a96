"""EnvoyFilter: patches that say what, where and how."""

from typing import Any

from pymesh.xds.known import InvalidValue

from ..envoy_values import message_of, unknown_field
from ..models.envoyfilter import (
    ApplyTo,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    FilterClass,
    Patch,
    PatchContext,
    PatchOperation,
)
from . import attachment, filter_names, words
from .finding import Finding, Findings, below, verdict
from .gatewayapi import names

_OF_LISTENERS = (ApplyTo.LISTENER, ApplyTo.FILTER_CHAIN, ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER)
_OF_ROUTES = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)
_ANYWHERE = (ApplyTo.LISTENER_FILTER, ApplyTo.BOOTSTRAP, ApplyTo.EXTENSION_CONFIG)
"""Of these Istio takes any match."""
_INSERTING = (PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER, PatchOperation.INSERT_FIRST)
_ORDERED = (ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER, ApplyTo.LISTENER_FILTER, ApplyTo.HTTP_ROUTE)
"""What stands in lists whose order means something."""
_FILTERS = (ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER, ApplyTo.LISTENER_FILTER)
_LONGEST_VERSION = 1024
_MANAGER = "envoy.filters.network.http_connection_manager"
_FILTER = ("listener", "filter_chain", "filter")
_WITHOUT_EFFECT = {
    ApplyTo.LISTENER: (PatchOperation.REPLACE,),
    ApplyTo.FILTER_CHAIN: (PatchOperation.REPLACE,),
    ApplyTo.CLUSTER: (PatchOperation.REPLACE,),
    ApplyTo.ROUTE_CONFIGURATION: (PatchOperation.ADD, PatchOperation.REMOVE, PatchOperation.REPLACE, *_INSERTING),
    ApplyTo.HTTP_ROUTE: (PatchOperation.REPLACE,),
    ApplyTo.LISTENER_FILTER: (PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST),
}

_CODES = {PatchOperation.REPLACE: "IST0152", PatchOperation.ADD: "IST0153", PatchOperation.REMOVE: "IST0154"}


def check(spec: EnvoyFilter, namespace: str) -> Findings:
    """Everything wrong with one EnvoyFilter."""
    yield Finding((), "depends on the form of what is generated, which may change with any version", "warning")
    yield from attachment.check(spec.workload_selector, spec.target_refs, namespace, kinds="warning")
    for index, reference in enumerate(spec.target_refs):
        yield from below(("target_refs", index), names.check(reference))
    for index, patch in enumerate(spec.config_patches):
        yield from below(("config_patches", index), _patch(patch))


def _patch(change: EnvoyConfigObjectPatch) -> Findings:
    if change.patch is not None and change.patch.value is not None and not isinstance(change.patch.value, dict):
        yield Finding(("patch", "value"), "must be an object")
    if change.match is not None:
        yield from below("match", _waypoint(change.match))
        if change.match.context is PatchContext.WAYPOINT:  # which Istio leaves to those who serve it
            return
    if change.apply_to in (None, ApplyTo.INVALID):
        yield Finding((), "needs applyTo: what is changed")
        return
    if change.apply_to is ApplyTo.BOOTSTRAP:
        yield Finding(("apply_to",), "BOOTSTRAP is deprecated", "warning", "IST0002")
    if change.patch is None or change.patch.operation in (None, PatchOperation.INVALID):
        yield Finding((), "needs patch.operation: how it is changed")
    else:
        yield from below("patch", _operation(change.apply_to, change.patch))
    if change.match is not None:
        yield from below("match", _match(change.apply_to, change.match))


def _operation(what: ApplyTo, patch: Patch) -> Findings:
    if isinstance(patch.value, dict):
        yield from below("value", _value(what, patch.value))
    if patch.operation is PatchOperation.REMOVE:
        if patch.value is not None:
            yield Finding(("value",), "is not used: the operation is REMOVE", "warning")
    elif patch.value is None:
        yield Finding((), "needs a value: the operation is not REMOVE")
    if patch.filter_class not in (None, FilterClass.UNSPECIFIED):
        yield Finding(("filter_class",), "is not looked at: a filter stands where the operation puts it", "warning")
    if patch.operation in _WITHOUT_EFFECT.get(what, ()):
        yield Finding(("operation",), f"does nothing to {what.value}, in Istio as here", "warning", _CODES.get(patch.operation, ""))
    elif patch.operation in _INSERTING and what not in _ORDERED:
        yield Finding(("operation",), f"{what.value} stands in no order, so this is taken for ADD", "warning")


def _value(what: ApplyTo, value: dict[str, Any]) -> Findings:
    """A value has to be the message; what it has besides is left out, as Istio leaves it out."""
    try:
        message = message_of(what, value)
    except InvalidValue as error:
        yield Finding(error.path, str(error))
        return
    if extra := unknown_field(what, value):
        yield Finding(extra.path, f"{extra}; it is left out", "warning")
    if what in _FILTERS and not any(message.HasField(name) for name in ("typed_config", "config_discovery")):
        yield Finding((), "has no typed_config, and proxies find a filter by the type of that, not by its name", "warning")


def _match(what: ApplyTo, match: EnvoyConfigObjectMatch) -> Findings:
    if what not in _ANYWHERE:
        yield from _elsewhere(what, match)
    version = match.proxy.proxy_version if match.proxy else None
    if version and len(version) > _LONGEST_VERSION:
        yield Finding(("proxy", "proxy_version"), f"of more than {_LONGEST_VERSION} characters is not looked at", "warning")
    elif version:
        yield from verdict(("proxy", "proxy_version"), words.regex(version))
    if match.listener is not None and match.listener.port_name:
        yield Finding(("listener", "port_name"), "is not looked at, in Istio as here", "warning")
    yield from _sub_filter(what, match)


def _elsewhere(what: ApplyTo, match: EnvoyConfigObjectMatch) -> Findings:
    if match.listener is not None and what not in _OF_LISTENERS:
        yield Finding(("listener",), f"{what.value} is in no listener")
    if match.route_configuration is not None and what not in _OF_ROUTES:
        yield Finding(("route_configuration",), f"{what.value} is in no route configuration")
    if match.cluster is not None and what is not ApplyTo.CLUSTER:
        yield Finding(("cluster",), f"{what.value} is in no cluster")


def _waypoint(match: EnvoyConfigObjectMatch) -> Findings:
    if (match.waypoint is not None) != (match.context is PatchContext.WAYPOINT):
        yield Finding((), "waypoint belongs to the context WAYPOINT, and to no other")


def _sub_filter(what: ApplyTo, match: EnvoyConfigObjectMatch) -> Findings:
    chain = match.listener.filter_chain if match.listener else None
    found = chain.filter if chain else None
    if found is None:
        return
    if not found.name:
        yield Finding(_FILTER, "a filter is matched by its name")
    elif found.name in filter_names.PRESENT:
        yield _renamed("filter", found.name)
    if what in (ApplyTo.LISTENER, ApplyTo.FILTER_CHAIN):
        yield Finding(_FILTER, f"has no effect on {what.value}, in Istio as here", "warning")
    if found.sub_filter is not None:
        yield from _of_sub_filter(what, found.name, found.sub_filter.name)


def _of_sub_filter(what: ApplyTo, outer: str | None, name: str | None) -> Findings:
    if what is not ApplyTo.HTTP_FILTER:
        yield Finding((*_FILTER, "sub_filter"), "is for HTTP_FILTER only")
    elif outer not in (_MANAGER, "envoy.http_connection_manager"):
        yield Finding((*_FILTER, "name"), f"a filter within a filter needs {_MANAGER} here")
    elif not name:
        yield Finding((*_FILTER, "sub_filter"), "a filter is matched by its name")
    elif name in filter_names.PRESENT:
        yield _renamed("sub_filter", name)


def _renamed(field: str, name: str) -> Finding:
    path = _FILTER if field == "filter" else (*_FILTER, field)
    return Finding((*path, "name"), f"{name} is an old name, which nothing has: it is {filter_names.PRESENT[name]} now", "warning")
