"""The Gateway API's own rules: those of its schemas, and those that their expressions state."""

from collections.abc import Callable
from typing import Any

from ..finding import Findings
from . import connectionroutes, gateway, grpcroute, httproute, policies

CHECKS: dict[str, Callable[[Any, str], Findings]] = {
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
"""By kind."""
