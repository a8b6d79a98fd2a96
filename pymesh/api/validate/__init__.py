"""What a schema cannot say: Istio's own checks of each kind, as pure functions over the models."""

from collections.abc import Callable, Iterable
from typing import Any

from ..types import Model
from . import destinationrule, gateway, meshconfig, peerauthentication, serviceentry, virtualservice, workloadentry
from .finding import Finding, Findings
from .metadata import check as check_metadata

__all__ = ["Finding", "check", "check_metadata"]

_CHECKS: dict[str, Callable[[Any, str], Findings]] = {
    "ConfigMap": meshconfig.check,
    "DestinationRule": destinationrule.check,
    "Gateway": gateway.check,
    "PeerAuthentication": peerauthentication.check,
    "ServiceEntry": serviceentry.check,
    "VirtualService": virtualservice.check,
    "WorkloadEntry": workloadentry.check,
}


def check(kind: str, spec: Model, namespace: str) -> Iterable[Finding]:
    """Everything wrong with one resource's spec."""
    return _CHECKS[kind](spec, namespace)
