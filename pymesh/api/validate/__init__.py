"""What a schema cannot say: Istio's own checks of each kind, as pure functions over the models."""

from collections.abc import Callable, Iterable
from typing import Any

from ..types import Model
from . import (
    authorizationpolicy,
    destinationrule,
    envoyfilter,
    extension,
    gateway,
    gatewayapi,
    meshconfig,
    meshnetworks,
    peerauthentication,
    proxyconfig,
    requestauthentication,
    serviceentry,
    sidecar,
    telemetry,
    virtualservice,
    workloadentry,
    workloadgroup,
)
from .finding import Finding, Findings
from .kubernetes import check as check_foreign
from .metadata import check as check_metadata
from .metadata import check_names
from .together import check as check_together

__all__ = ["Finding", "check", "check_foreign", "check_metadata", "check_names", "check_together"]

_CHECKS: dict[str, Callable[[Any, str], Findings]] = {
    "AuthorizationPolicy": authorizationpolicy.check,
    "ConfigMap": meshconfig.check,
    "MeshNetworks": meshnetworks.check,
    "DestinationRule": destinationrule.check,
    "EnvoyFilter": envoyfilter.check,
    "Gateway": gateway.check,
    "PeerAuthentication": peerauthentication.check,
    "ProxyConfig": proxyconfig.check,
    "RequestAuthentication": requestauthentication.check,
    "ServiceEntry": serviceentry.check,
    "Sidecar": sidecar.check,
    "Telemetry": telemetry.check,
    "TrafficExtension": extension.check_extension,
    "VirtualService": virtualservice.check,
    "WasmPlugin": extension.check_plugin,
    "WorkloadEntry": workloadentry.check,
    "WorkloadGroup": workloadgroup.check,
    **gatewayapi.CHECKS,
}


def check(kind: str, spec: Model, namespace: str) -> Iterable[Finding]:
    """Everything wrong with one resource's spec."""
    return _CHECKS[kind](spec, namespace)
