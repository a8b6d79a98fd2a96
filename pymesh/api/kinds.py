"""The kinds that configuration may hold: their API groups, served versions and models."""

from dataclasses import dataclass

from .models.authorizationpolicy import AuthorizationPolicy
from .models.destinationrule import DestinationRule
from .models.envoyfilter import EnvoyFilter
from .models.extension import TrafficExtension, WasmPlugin
from .models.gateway import Gateway
from .models.gatewayapi.connectionroutes import TCPRoute, TLSRoute
from .models.gatewayapi.gateway import Gateway as KubernetesGateway
from .models.gatewayapi.gateway import GatewayClass, ListenerSet
from .models.gatewayapi.grpcroute import GRPCRoute
from .models.gatewayapi.httproute import HTTPRoute
from .models.gatewayapi.policies import BackendTLSPolicy, ReferenceGrant
from .models.gatewayapi.references import GROUP as GATEWAY_API
from .models.kubernetes import Endpoints, EndpointSlice, Namespace, Node, Pod, Service
from .models.peerauthentication import PeerAuthentication
from .models.proxyconfig import ProxyConfig
from .models.requestauthentication import RequestAuthentication
from .models.serviceentry import ServiceEntry, ServiceEntryStatus
from .models.sidecar import Sidecar
from .models.telemetry import Telemetry
from .models.virtualservice import VirtualService
from .models.workloadentry import WorkloadEntry
from .models.workloadgroup import WorkloadGroup
from .resource import Resource
from .shape import did_you_mean
from .types import Model

_NETWORKING = ("v1", "v1beta1", "v1alpha3")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource; `versions` are the served ones, the current one first.

    `word` is what stands in `kind`, where that is not the name by which the kind is told from all others. `status` is for those whose
    status says something that counts.
    """

    name: str
    group: str
    versions: tuple[str, ...]
    model: type[Model]
    is_namespaced: bool = True
    word: str = ""
    status: type[Model] | None = None

    @property
    def written(self) -> str:
        """What stands in `kind`."""
        return self.word or self.name

    @property
    def api_versions(self) -> tuple[str, ...]:
        """What may stand in `apiVersion`."""
        return tuple(f"{self.group}/{version}".removeprefix("/") for version in self.versions)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("VirtualService", "networking.istio.io", _NETWORKING, VirtualService),
        Kind("DestinationRule", "networking.istio.io", _NETWORKING, DestinationRule),
        Kind("Gateway", "networking.istio.io", _NETWORKING, Gateway),
        Kind("ServiceEntry", "networking.istio.io", _NETWORKING, ServiceEntry, status=ServiceEntryStatus),
        Kind("WorkloadEntry", "networking.istio.io", _NETWORKING, WorkloadEntry),
        Kind("WorkloadGroup", "networking.istio.io", _NETWORKING, WorkloadGroup),
        Kind("Sidecar", "networking.istio.io", _NETWORKING, Sidecar),
        Kind("EnvoyFilter", "networking.istio.io", ("v1alpha3",), EnvoyFilter),
        Kind("ProxyConfig", "networking.istio.io", ("v1beta1",), ProxyConfig),
        Kind("PeerAuthentication", "security.istio.io", ("v1", "v1beta1"), PeerAuthentication),
        Kind("RequestAuthentication", "security.istio.io", ("v1", "v1beta1"), RequestAuthentication),
        Kind("AuthorizationPolicy", "security.istio.io", ("v1", "v1beta1"), AuthorizationPolicy),
        Kind("Telemetry", "telemetry.istio.io", ("v1", "v1alpha1"), Telemetry),
        Kind("WasmPlugin", "extensions.istio.io", ("v1alpha1",), WasmPlugin),
        Kind("TrafficExtension", "extensions.istio.io", ("v1alpha1",), TrafficExtension),
        Kind("GatewayClass", GATEWAY_API, ("v1", "v1beta1"), GatewayClass, is_namespaced=False),
        Kind("KubernetesGateway", GATEWAY_API, ("v1", "v1beta1"), KubernetesGateway, word="Gateway"),
        Kind("ListenerSet", GATEWAY_API, ("v1",), ListenerSet),
        Kind("HTTPRoute", GATEWAY_API, ("v1", "v1beta1"), HTTPRoute),
        Kind("GRPCRoute", GATEWAY_API, ("v1",), GRPCRoute),
        Kind("TLSRoute", GATEWAY_API, ("v1", "v1alpha3", "v1alpha2"), TLSRoute),
        Kind("TCPRoute", GATEWAY_API, ("v1", "v1alpha2"), TCPRoute),
        Kind("ReferenceGrant", GATEWAY_API, ("v1beta1", "v1"), ReferenceGrant),
        Kind("BackendTLSPolicy", GATEWAY_API, ("v1", "v1alpha3"), BackendTLSPolicy),
    )
}

KUBERNETES_KINDS = {
    kind.name: kind
    for kind in (
        Kind("Service", "", ("v1",), Service),
        Kind("Endpoints", "", ("v1",), Endpoints),
        Kind("EndpointSlice", "discovery.k8s.io", ("v1",), EndpointSlice),
        Kind("Pod", "", ("v1",), Pod),
        Kind("Namespace", "", ("v1",), Namespace, is_namespaced=False),
        Kind("Node", "", ("v1",), Node, is_namespaced=False),
    )
}
"""Kinds that are not configuration but what there is. Their models are of the whole object, not of its `spec`."""


_BY_WORD = {(kind.group, kind.written): kind for kind in KINDS.values()}


def kind_of(word: str, api_version: str) -> Kind | None:
    """The kind of configuration that `kind` and `apiVersion` mean, whether or not it is served in that version."""
    return _BY_WORD.get((api_version.rpartition("/")[0], word))


def written(resource: Resource) -> str:
    """What stands in a resource's `kind`."""
    known = KINDS.get(resource.kind)
    return known.written if known else resource.kind


def explain_unknown(word: str, api_version: str) -> str:
    """Why an object of this kind cannot be read."""
    group = api_version.rpartition("/")[0]
    elsewhere = [kind.group for kind in KINDS.values() if kind.written == word]
    ours = group.endswith("istio.io") or group == GATEWAY_API
    if ours and elsewhere:
        return f"{word} belongs to {' and '.join(elsewhere)}, not to {group}"
    if ours:
        return f"{word} is not a kind of {group}{did_you_mean(word, [kind.written for kind in KINDS.values()])}"
    unserved = KUBERNETES_KINDS.get(word)
    if unserved is not None and unserved.group == group:
        return f"{api_version} is not served; use {unserved.api_versions[0]}"
    near = [kind.name for kind in KUBERNETES_KINDS.values() if kind.group == group]
    if near:
        return f"{word} is not a kind of {api_version}{did_you_mean(word, near)}"
    known = ", ".join(dict.fromkeys(kind.written for kind in (*KINDS.values(), *KUBERNETES_KINDS.values())))
    return f"{word} of {api_version} is not mesh configuration; the kinds read are {known} and the ConfigMap istio"
