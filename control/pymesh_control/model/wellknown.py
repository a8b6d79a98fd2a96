"""Istio's annotations and labels: where each belongs, and what becomes of it here. The names are those of Istio's own reference.

What neither table has is not Istio's, whatever its prefix says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pymesh.api import Resource
from pymesh.api.kinds import written

from .authorization import DRY_RUN

ANY = "Any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One annotation or label."""

    kinds: frozenset[str]
    """What carries it, as `kind` is written; `Any` for whatever there is."""
    reason: str = ""
    """Why it changes nothing; empty for one that is honoured, or that asks for nothing."""
    concerns_start: bool = False
    """Whether it is for those who start a pod's proxy: they may have seen to it, and no control plane can."""
    is_deprecated: bool = False


Words = Mapping[str, Word]

_INJECTION = "nothing here injects sidecars: say it where the proxy is started"
_AT_START = "proxies read it at their start, from their own PROXY_CONFIG: set it there"
_CAPTURE = "nothing here redirects the connections of pods: say it to whatever does"
_BOOTSTRAP = "it shapes a bootstrap of Envoy's, and those made here have no such part"
_AMBIENT = "there is no ambient mode here"
_DEPLOYMENT = "nothing here deploys gateways: deploy the proxy with it"
_START = frozenset({_INJECTION, _AT_START, _CAPTURE, _BOOTSTRAP})

_ANNOTATIONS: dict[str, dict[str, str]] = {
    "": {
        "Any": "galley.istio.io/analyze-suppress gateway.istio.io/controller-version",
        "AuthorizationPolicy": DRY_RUN,
        "Namespace Service ServiceEntry": "networking.istio.io/traffic-distribution",
        "Service": "networking.istio.io/exportTo traffic.istio.io/nodeSelector",
        "Pod": "proxy.istio.io/config inject.istio.io/templates sidecar.istio.io/status istio.io/rev",
        "WorkloadEntry": (
            "istio.io/autoRegistrationGroup istio.io/workloadController istio.io/connectedAt istio.io/disconnectedAt"
        ),
    },
    _INJECTION: {
        "Pod": (
            "sidecar.istio.io/inject sidecar.istio.io/rewriteAppHTTPProbers sidecar.istio.io/proxyImage sidecar.istio.io/proxyImageType"
            " sidecar.istio.io/proxyCPU sidecar.istio.io/proxyCPULimit sidecar.istio.io/proxyMemory sidecar.istio.io/proxyMemoryLimit"
            " sidecar.istio.io/userVolume sidecar.istio.io/userVolumeMount sidecar.istio.io/logLevel sidecar.istio.io/componentLogLevel"
            " sidecar.istio.io/agentLogLevel sidecar.istio.io/nativeSidecar readiness.status.sidecar.istio.io/initialDelaySeconds"
            " readiness.status.sidecar.istio.io/periodSeconds readiness.status.sidecar.istio.io/failureThreshold"
            " readiness.status.sidecar.istio.io/applicationPorts proxy.istio.io/overrides"
        ),
    },
    _AT_START: {"Pod": "sidecar.istio.io/discoveryAddress status.sidecar.istio.io/port sidecar.istio.io/interceptionMode"},
    _CAPTURE: {
        "Pod": (
            "traffic.sidecar.istio.io/includeOutboundIPRanges traffic.sidecar.istio.io/excludeOutboundIPRanges"
            " traffic.sidecar.istio.io/includeInboundPorts traffic.sidecar.istio.io/excludeInboundPorts"
            " traffic.sidecar.istio.io/excludeInterfaces traffic.sidecar.istio.io/includeOutboundPorts"
            " traffic.sidecar.istio.io/excludeOutboundPorts traffic.sidecar.istio.io/kubevirtInterfaces"
            " istio.io/reroute-virtual-interfaces"
        ),
    },
    _BOOTSTRAP: {
        "Pod": (
            "sidecar.istio.io/bootstrapOverride sidecar.istio.io/extraStatTags sidecar.istio.io/statsInclusionPrefixes"
            " sidecar.istio.io/statsInclusionSuffixes sidecar.istio.io/statsInclusionRegexps sidecar.istio.io/statsHistogramBuckets"
            " sidecar.istio.io/statsFlushInterval sidecar.istio.io/statsEvictionInterval sidecar.istio.io/statsHistogramBins"
            " sidecar.istio.io/statsCompression"
        ),
    },
    "an application's metrics are not merged with its proxy's: scrape both": {"Pod": "prometheus.istio.io/merge-metrics"},
    "clients expect the identities that the instances run as": {
        "Service": "alpha.istio.io/kubernetes-serviceaccounts alpha.istio.io/canonical-serviceaccounts",
    },
    "the mesh has one control plane": {"Namespace": "topology.istio.io/controlPlaneClusters"},
    "Ingress objects are not read; use a Gateway": {"Ingress": "kubernetes.io/ingress.class"},
    _DEPLOYMENT: {
        "Gateway": "gateway.istio.io/service-account gateway.istio.io/name-override networking.istio.io/service-type",
    },
    "all addresses of a name are tried, one after the other": {"ServiceEntry": "istio.io/connect-strategy"},
    _AMBIENT: {
        "Pod": "ambient.istio.io/redirection ambient.istio.io/bypass-inbound-capture ambient.istio.io/dns-capture",
        "GatewayClass Gateway": "ambient.istio.io/waypoint-inbound-binding",
        "Service ServiceEntry Namespace": "istio.io/use-waypoint-canary-weight",
    },
}
"""By the reason why it changes nothing, and by what carries it."""

_LABELS: dict[str, dict[str, str]] = {
    "": {
        "Any": "operator.istio.io/component operator.istio.io/managed operator.istio.io/version istio.io/tag gateway.istio.io/managed",
        "Pod WorkloadEntry": (
            "security.istio.io/tlsMode service.istio.io/canonical-name service.istio.io/canonical-revision service.istio.io/workload-name"
            " topology.istio.io/cluster topology.istio.io/locality"
        ),
        "Node": "topology.istio.io/subzone",
        "Namespace Pod Service": "topology.istio.io/network",
        "Service": "networking.istio.io/gatewayPort gateway.networking.k8s.io/gateway-name gateway.networking.k8s.io/gateway-class-name",
        "ServiceEntry": "networking.istio.io/enable-autoallocate-ip",
    },
    _INJECTION: {"Pod": "sidecar.istio.io/inject", "Namespace": "istio-injection"},
    _AMBIENT: {
        "Pod Namespace": "istio.io/dataplane-mode",
        "Pod WorkloadEntry Service ServiceEntry Namespace": "istio.io/use-waypoint istio.io/use-waypoint-namespace",
        "Service ServiceEntry Namespace": (
            "istio.io/use-waypoint-canary istio.io/use-waypoint-canary-namespace istio.io/ingress-use-waypoint"
        ),
        "GatewayClass Gateway": "istio.io/waypoint-for",
    },
}
"""The same of labels, but for `istio.io/rev`, by which configuration is chosen (`store.revision`)."""

_DEPRECATED = (
    "alpha.istio.io/kubernetes-serviceaccounts alpha.istio.io/canonical-serviceaccounts sidecar.istio.io/inject"
    " sidecar.istio.io/discoveryAddress sidecar.istio.io/statsInclusionPrefixes sidecar.istio.io/statsInclusionSuffixes"
    " sidecar.istio.io/statsInclusionRegexps traffic.sidecar.istio.io/kubevirtInterfaces sidecar.istio.io/extraStatTags"
    " sidecar.istio.io/statsCompression"
)
"""Annotations alone; the label `sidecar.istio.io/inject` stands in for the annotation."""

_NOTHING_LOST = frozenset({"false", "disabled", "none", ""})
"""Values that ask for what is the case anyway."""


def _words(table: Mapping[str, Mapping[str, str]], deprecated: str = "") -> dict[str, Word]:
    old = frozenset(deprecated.split())
    return {
        name: Word(kinds=frozenset(kinds.split()), reason=reason, concerns_start=reason in _START, is_deprecated=name in old)
        for reason, carried in table.items()
        for kinds, names in carried.items()
        for name in names.split()
    }


ANNOTATIONS: Words = _words(_ANNOTATIONS, _DEPRECATED)
LABELS: Words = _words(_LABELS)


def without_effect(resource: Resource) -> Iterator[tuple[str, str, Word]]:
    """(`annotations` or `labels`, name, word) of all that a resource carries of Istio's and that changes nothing."""
    for place, held, words in (("annotations", resource.annotations, ANNOTATIONS), ("labels", resource.labels, LABELS)):
        for name, value in held.items():
            word = words.get(name)
            if word is not None and word.reason and written(resource) in word.kinds and value.lower() not in _NOTHING_LOST:
                yield place, name, word
