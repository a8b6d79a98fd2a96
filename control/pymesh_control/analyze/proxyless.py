"""What is asked in vain of gRPC applications that speak xDS themselves: they have a part of a proxy's features."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pymesh.api import Resource, hosts
from pymesh.api.models.authorizationpolicy import Action

from ..generate.proxyless_routes import RETRIED
from ..model import support
from ..model.protocol import Protocol
from ..model.virtual import MESH
from ..model.workload import selects
from . import rivals
from .rule import Found, rule
from .subject import Path, Subject

_FAILS = "calls that match fail"
_ROUTES = {
    "http[].mirror": "calls are not mirrored",
    "http[].mirrors": "calls are not mirrored",
    "http[].rewrite": "hosts and paths stay as they are",
    "http[].corsPolicy": "it is for browsers",
    "http[].headers": "headers stay as they are",
    "http[].route[].headers": "headers stay as they are",
    "http[].redirect": _FAILS,
    "http[].directResponse": _FAILS,
    "http[].match[].queryParams": "calls have no query: the match never holds",
    "http[].retries.perTryTimeout": "a call has one deadline for all its tries",
    "http[].retries.retryRemoteLocalities": "tries go where the balancer sends them",
    "tls": "calls are routed as HTTP",
    "tcp": "calls are routed as HTTP",
}
_WHOLE = ("trafficPolicy", "subsets[].trafficPolicy")
_LIMITS = ("http1MaxPendingRequests", "maxRequestsPerConnection", "maxRetries", "idleTimeout", "maxConcurrentStreams", "http2KeepAlive")
_POLICY = {
    "loadBalancer.consistentHash.httpCookie": "calls have no cookies, and go in turn",
    "loadBalancer.consistentHash.httpQueryParameterName": "calls have no query, and go in turn",
    "loadBalancer.warmup": "new instances get their full share at once",
    "loadBalancer.warmupDurationSecs": "new instances get their full share at once",
    "loadBalancer.zoneAwareLbSetting.minClusterSize": "zones of a region count alike",
    "connectionPool.tcp": "connections are gRPC's own affair",
    **{f"connectionPool.http.{name}": "such clients know no other limit than http2MaxRequests" for name in _LIMITS},
    "outlierDetection.splitExternalLocalOriginErrors": "errors of all origins count alike",
    "outlierDetection.outlierDetectionHttpErrorCodes": "every status but OK is an error",
    "outlierDetection.consecutiveLocalOriginFailures": "errors of all origins count alike",
}
_WHOLE_POLICY = {
    "tunnel": "calls go straight to their instances",
    "proxyProtocol": "connections begin without a PROXY header",
    "retryBudget": "retries have no budget",
}
_RULES = {
    **{f"{whole}{level}.{name}": why for whole in _WHOLE for level in ("", ".portLevelSettings[]") for name, why in _POLICY.items()},
    **{f"{whole}.{name}": why for whole in _WHOLE for name, why in _WHOLE_POLICY.items()},
}
_TLS = tuple(f"{whole}{level}.tls.mode" for whole in _WHOLE for level in ("", ".portLevelSettings[]"))
_ENFORCED = (Action.ALLOW, Action.DENY)


class Client(NamedTuple):
    """A gRPC application without a proxy."""

    namespace: str
    labels: Mapping[str, str]


@rule(
    "PYM0601", "warning", "a setting without effect for gRPC applications that have no proxy", on_load=True,
    why="They speak xDS themselves, and gRPC has no such feature. Told where a pod asks for Istio's template `grpc-agent`.",
    fix="Do not count on it for calls of these applications, or give them a proxy.",
)  # fmt: skip
def without_a_proxy(subject: Subject) -> Iterator[Found]:
    clients = [Client(one.namespace, one.labels) for one in subject.snapshot.workloads if one.proxyless]
    return in_vain(subject, clients)


def in_vain(subject: Subject, clients: Iterable[Client]) -> Iterator[Found]:
    """Every setting that any of the clients is to obey and cannot."""
    known = list(clients)
    if not known:
        return
    places = sorted({one.namespace for one in known})
    for resource, path, why in (*_of_calls(subject, places), *_of_servers(subject, known)):
        yield Found(resource, path, f"{support.spell(path)} has no effect for gRPC without a proxy: {why}".lstrip())


def _of_calls(subject: Subject, places: Iterable[str]) -> Iterator[tuple[Resource, Path, str]]:
    """Routes and policies of services that speak gRPC, as far as the namespaces see them."""
    called = {place: _called(subject, place) for place in places}
    for resource, routes in subject.virtual_services:
        if MESH in routes.gateways and _covers(called, routes.visibility, routes.hosts):
            yield from _set(resource, _ROUTES)
            yield from _retries(resource)
    for resource, policies in subject.rules:
        if _covers(called, policies.visibility, (policies.host,)):
            yield from _set(resource, _RULES)
            yield from _tls(resource)


def _called(subject: Subject, place: str) -> frozenset[str]:
    """The hosts of gRPC services that a namespace sees."""
    seen = subject.snapshot.visible(place).values()
    return frozenset(one.host for one in seen if any(port.protocol is Protocol.GRPC for port in one.ports))


def _covers(called: Mapping[str, frozenset[str]], visibility: Any, patterns: Iterable[str]) -> bool:
    seen = {host for place, found in called.items() if visibility.reaches(place) for host in found}
    return any(hosts.subset_of(host, pattern) for pattern in patterns for host in seen)


def _set(resource: Resource, table: Mapping[str, str]) -> Iterator[tuple[Resource, Path, str]]:
    for name, why in table.items():
        for path, value in support.walk(resource.spec, name):
            if value:
                yield resource, path, why


def _retries(resource: Resource) -> Iterator[tuple[Resource, Path, str]]:
    for path, text in support.walk(resource.spec, "http[].retries.retryOn"):
        if text and not set(RETRIED) & {one.strip() for one in text.split(",")}:
            yield resource, path, f"calls are retried on {', '.join(RETRIED)}"


def _tls(resource: Resource) -> Iterator[tuple[Resource, Path, str]]:
    for name in _TLS:
        for path, mode in support.walk(resource.spec, name):
            if mode.value in ("SIMPLE", "MUTUAL"):
                yield resource, path, "calls go in plaintext, for there is no other TLS than ISTIO_MUTUAL"


def _of_servers(subject: Subject, clients: Iterable[Client]) -> Iterator[tuple[Resource, Path, str]]:
    """Policies for the applications themselves, which a proxy would apply."""
    root = subject.snapshot.mesh.root_namespace
    for resource in subject.of("EnvoyFilter", "AuthorizationPolicy"):
        envoy = resource.kind == "EnvoyFilter"
        why = "there is no Envoy to change" if envoy else _unenforced(resource)
        labels = (rivals.labels if envoy else rivals.match_labels)(resource.spec) or {}
        if why and any(resource.namespace in (root, one.namespace) and selects(labels, one.labels) for one in clients):
            yield resource, (), why


def _unenforced(resource: Resource) -> str:
    """Why servers do not enforce an AuthorizationPolicy, if they do not."""
    action = resource.spec.action or Action.ALLOW
    if action not in _ENFORCED:
        return f"servers know no action {action.value}: nothing is forbidden"
    attached = resource.spec.target_ref or resource.spec.target_refs
    return "servers do not take policies with targetRefs: nothing is forbidden" if attached else ""


RULES = (without_a_proxy,)
