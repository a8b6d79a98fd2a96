"""The Gateway API's own rules: those of its schemas, and those that their expressions state."""

from collections.abc import Callable
from typing import Any

from ...types import Model
from ..finding import Findings
from . import connectionroutes, gateway, grpcroute, httproute, names, policies

_RULES: dict[str, Callable[[Any, str], Findings]] = {
    "BackendTLSPolicy": policies.check_tls,
    "GRPCRoute": grpcroute.check,
    "GatewayClass": gateway.check_class,
    "HTTPRoute": httproute.check,
    "KubernetesGateway": gateway.check,
    "ListenerSet": gateway.check_set,
    "ReferenceGrant": policies.check_grant,
    "TCPRoute": connectionroutes.check_tcp,
    "TLSRoute": connectionroutes.check_tls,
}


def _checking(rules: Callable[[Any, str], Findings]) -> Callable[[Any, str], Findings]:
    def check(spec: Model, namespace: str) -> Findings:
        yield from names.check(spec)
        yield from rules(spec, namespace)

    return check


CHECKS = {kind: _checking(rules) for kind, rules in _RULES.items()}
"""By kind."""
