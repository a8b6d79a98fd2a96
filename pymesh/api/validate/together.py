"""Rules that the metadata and the spec of an object keep together."""

from collections.abc import Callable
from typing import Any

from ..models.authorizationpolicy import Action, AuthorizationPolicy
from ..models.gateway import Gateway
from ..models.metadata import Metadata
from ..models.serviceentry import Location, Resolution, ServiceEntry
from ..types import Model
from . import words
from .finding import Finding, Findings, verdict
from .metadata import DRY_RUN

_USE_WAYPOINT = "istio.io/use-waypoint"


def check(kind: str, metadata: Metadata, spec: Model) -> Findings:
    """Everything wrong between the two; paths begin at the object itself."""
    return _CHECKS[kind](metadata, spec) if kind in _CHECKS else iter(())


def _gateway(metadata: Metadata, _spec: Gateway) -> Findings:
    """VirtualServices name it, and a dot in a name there is the old form's."""
    yield from verdict(("metadata", "name"), words.dns_label(metadata.name))


def _authorization(metadata: Metadata, spec: AuthorizationPolicy) -> Findings:
    if DRY_RUN in metadata.annotations and spec.action in (Action.AUDIT, Action.CUSTOM):
        yield Finding(("metadata", "annotations", DRY_RUN), "a dry run is only for the actions ALLOW and DENY")


def _service_entry(metadata: Metadata, spec: ServiceEntry) -> Findings:
    """A waypoint takes requests for names outside the mesh, not for those inside."""
    waypoint = metadata.labels.get(_USE_WAYPOINT, "none") or "none"
    dynamic = spec.resolution is Resolution.DYNAMIC_DNS and spec.location is Location.MESH_INTERNAL
    if dynamic and waypoint.lower() != "none":
        yield Finding(("spec", "location"), "location MESH_INTERNAL with resolution DYNAMIC_DNS cannot have a waypoint")


_CHECKS: dict[str, Callable[[Metadata, Any], Findings]] = {
    "AuthorizationPolicy": _authorization,
    "Gateway": _gateway,
    "ServiceEntry": _service_entry,
}
