"""What a DestinationRule's traffic policy makes of a cluster's connections: limits, keepalive, HTTP version, TLS."""

from dataclasses import replace
from typing import Any

from pymesh.xds import node as nodes
from pymesh.xds import proto

from ..model.authentication import Mode
from ..model.destination import Policy, Rule
from ..model.gatewayapi.policies import BackendTls
from ..model.mesh import Mesh
from ..model.protocol import Protocol
from ..model.service import DYNAMIC_DNS, Port, Service
from . import manager, outlier, secure
from .common import UNLIMITED
from .scope import Scope

_CLUSTER = proto.cluster.Cluster
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_ISTIO_MUTUAL = "ISTIO_MUTUAL"


def settled(scope: Scope, rule: Rule | None, service: Service, port: Port, subset: str) -> tuple[Policy, BackendTls | None]:
    """What holds for a port or a subset of it: what its rule says, and of TLS, where that says nothing, what a BackendTLSPolicy does."""
    found = scope.policy(rule, port.number, subset)
    secured = scope.backend_tls(service, port) if found.tls is None else None
    return (found if secured is None else replace(found, tls=secured.settings)), secured


def breakers(policy: Policy | None = None) -> Any:
    """Circuit breakers: Istio lifts Envoy's limits of 1024 and 3 unless a rule sets some."""
    tcp, http = _pools(policy)
    thresholds = proto.circuit_breaker.CircuitBreakers.Thresholds(
        max_connections=_u32((tcp and tcp.max_connections) or UNLIMITED),
        max_pending_requests=_u32((http and http.http1_max_pending_requests) or UNLIMITED),
        max_requests=_u32((http and http.http2_max_requests) or UNLIMITED),
        max_retries=_u32((http and http.max_retries) or UNLIMITED),
    )
    if policy and policy.retry_budget:
        _budget(thresholds.retry_budget, policy.retry_budget)
    return proto.circuit_breaker.CircuitBreakers(thresholds=[thresholds])


def _budget(message: Any, wanted: Any) -> None:
    """Retries may be so many percent of what is under way, or has been within an interval; Envoy's defaults are Istio's, too."""
    message.SetInParent()
    if wanted.percent is not None:
        message.budget_percent.value = wanted.percent
    if wanted.budget_interval is not None:
        message.budget_interval.CopyFrom(proto.duration(wanted.budget_interval))
    if wanted.min_retry_concurrency:
        message.min_retry_concurrency.value = wanted.min_retry_concurrency


def connect(message: Any, policy: Policy | None, mesh: Mesh) -> None:
    """Set how connections are made: the time they may take, and TCP keepalive."""
    tcp, _ = _pools(policy)
    message.connect_timeout.CopyFrom(proto.duration((tcp and tcp.connect_timeout) or mesh.connect_timeout))
    for wanted in filter(None, (mesh.keepalive, tcp and tcp.tcp_keepalive)):  # the rule's values over the mesh's, one by one
        keepalive = message.upstream_connection_options.tcp_keepalive
        keepalive.SetInParent()
        _set(keepalive.keepalive_probes, wanted.probes)
        _set(keepalive.keepalive_time, wanted.time)
        _set(keepalive.keepalive_interval, wanted.interval)


def speak(
    message: Any,
    protocol: Protocol,
    policy: Policy | None = None,
    *,
    idle_timeout: float = 0.0,
    follows: bool = True,
    upgrade: bool | None = False,
    keeps_case: bool = False,
) -> bool:
    """Set the HTTP version and the limits of HTTP connections; a port without HTTP gets none. Without idle timeout Envoy's hour holds.

    Returns whether HTTP/2 is spoken in any case.

    `follows`: whether a port whose protocol is not known is spoken to as the client speaks.
    `upgrade` says that HTTP/1.1 goes on as HTTP/2 where a rule says nothing of it and the port's protocol is declared; None: no rule may.
    `keeps_case`: names of HTTP/1 headers are written as they came.
    """
    if not protocol.may_be_http:
        return False
    options = proto.http_options.HttpProtocolOptions()
    _, http = _pools(policy)
    upgraded = upgrade is not None and _upgrades(http, by_default=upgrade and protocol.is_http)
    if (follows and protocol is Protocol.AUTO) or (http and http.use_client_protocol):
        _http1(options.use_downstream_protocol_config.http_protocol_options, keeps_case=keeps_case)
        _http2(options.use_downstream_protocol_config.http2_protocol_options, http)
    elif protocol.is_http2 or upgraded:
        _http2(options.explicit_http_config.http2_protocol_options, http)
    else:
        _http1(options.explicit_http_config.http_protocol_options, keeps_case=keeps_case)
    _limit(options, policy, idle_timeout)
    if policy and policy.outlier_detection and policy.outlier_detection.outlier_detection_http_error_codes:
        codes = policy.outlier_detection.outlier_detection_http_error_codes
        options.outlier_detection.error_matcher.CopyFrom(outlier.error_matcher(codes))
    message.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(proto.pack(options))
    return bool(options.explicit_http_config.HasField("http2_protocol_options"))


def _upgrades(http: Any, *, by_default: bool) -> bool:
    stated = http and http.h2_upgrade_policy and http.h2_upgrade_policy.value
    return by_default if stated in (None, "DEFAULT") else bool(stated == "UPGRADE")


def _http1(message: Any, *, keeps_case: bool) -> None:
    message.SetInParent()
    if keeps_case:
        message.header_key_format.CopyFrom(manager.keep_case())


def _http2(message: Any, http: Any) -> None:
    message.SetInParent()
    if http and http.max_concurrent_streams:
        message.max_concurrent_streams.value = http.max_concurrent_streams
    if http and http.http2_keep_alive:
        message.connection_keepalive.interval.CopyFrom(proto.duration(http.http2_keep_alive.interval))
        message.connection_keepalive.timeout.CopyFrom(proto.duration(http.http2_keep_alive.timeout))


def _limit(options: Any, policy: Policy | None, idle_timeout: float) -> None:
    tcp, http = _pools(policy)
    common = options.common_http_protocol_options
    stated = http.idle_timeout if http and http.idle_timeout else tcp.idle_timeout if tcp else None
    if stated is not None or idle_timeout:
        common.idle_timeout.CopyFrom(proto.duration(idle_timeout if stated is None else stated))
    if http and http.max_requests_per_connection:
        common.max_requests_per_connection.value = http.max_requests_per_connection
    if tcp and tcp.max_connection_duration:
        common.max_connection_duration.CopyFrom(proto.duration(tcp.max_connection_duration))


def encrypt(message: Any, scope: Scope, service: Service, port: Port, subset: str, policy: Policy, *, selects: bool, http2: bool) -> None:
    """Set the cluster's TLS: what the rule says, else mutual TLS with those instances that can. `http2`: that is what is spoken inside.

    A rule's credential is for gateways; for sidecars only where the rule `selects` workloads, as it is one of their namespace, or
    where it stands with its namespace: then it is one of a BackendTLSPolicy, which is for every client.
    """
    mesh = scope.snapshot.mesh
    mode = _mode(policy)
    if mode == _ISTIO_MUTUAL:
        sans = policy.tls.subject_alt_names or secure.mesh_identities(mesh, service)
        socket = secure.client_socket(mesh, service, port, subset, sans, policy.tls.sni or "", http2=http2)
        message.transport_socket.CopyFrom(socket)
    elif mode in ("SIMPLE", "MUTUAL"):
        credential = policy.tls.credential_name or ""
        named = credential if selects or scope.type == nodes.ROUTER or "/" in credential else ""
        message.transport_socket.CopyFrom(secure.originate(policy.tls, mesh, service, named, http2=http2))
    elif not mode and _may_detect(scope, service):
        mutual = secure.client_socket(mesh, service, port, subset, secure.mesh_identities(mesh, service), http2=http2)
        if message.type != _CLUSTER.ORIGINAL_DST:
            _detect(message, mutual)
        elif _all_mutual(scope, service, port):
            message.transport_socket.CopyFrom(mutual)


def _mode(policy: Policy) -> str:
    """What the rule says of TLS; empty where it says nothing."""
    if not policy.tls:
        return ""
    return policy.tls.mode.value if policy.tls.mode else "DISABLE"


def told_by_requests(scope: Scope, service: Service, port: Port, subset: str = "") -> bool:
    """Whether requests have to say what is spoken inside mutual TLS: where their port does not, and there may be such TLS."""
    if port.protocol is not Protocol.AUTO:
        return False
    rule = scope.rule(service)
    if subset and (rule is None or subset not in rule.subsets):  # there is no such cluster
        return False
    policy, _ = settled(scope, rule, service, port, subset)
    mode = _mode(policy)
    return mode == _ISTIO_MUTUAL or (not mode and _may_detect(scope, service))


def announce(message: Any, wanted: Any) -> None:
    """Have connections begin with a PROXY header (`proxyProtocol`), whatever else they speak."""
    if wanted is None:
        return
    if not message.HasField("transport_socket"):
        message.transport_socket.CopyFrom(secure.plain_socket())
    for socket in (message.transport_socket, *(match.transport_socket for match in message.transport_socket_matches)):
        secure.announce(socket, version=2 if wanted.version and wanted.version.value == "V2" else 1)


def _may_detect(scope: Scope, service: Service) -> bool:
    """Auto mTLS: not outside the mesh, and not where the service's namespace switches it off.

    Workload policies do not count here: they act on each endpoint's tlsMode. A cluster without endpoints of its own
    (ORIGINAL_DST) has no such choice, and uses mutual TLS when all instances can. Of hosts that are looked up nobody knows.
    """
    snapshot = scope.snapshot
    if service.external or service.resolution == DYNAMIC_DNS or not snapshot.mesh.auto_mtls:
        return False
    return snapshot.authentication.namespace_mode(service.namespace) is not Mode.DISABLE


def _all_mutual(scope: Scope, service: Service, port: Port) -> bool:
    instances = scope.instances(service, port)
    return bool(instances) and all(endpoint.speaks_mutual_tls for endpoint in instances)


def _detect(message: Any, mutual: Any) -> None:
    istio = message.transport_socket_matches.add(name="tlsMode-istio", transport_socket=mutual)
    istio.match.fields["tlsMode"].string_value = "istio"
    message.transport_socket_matches.add(name="tlsMode-disabled", match={}, transport_socket=secure.plain_socket())


def _pools(policy: Policy | None) -> tuple[Any, Any]:
    pool = policy.connection_pool if policy else None
    return (pool.tcp, pool.http) if pool else (None, None)


def _u32(value: int) -> Any:
    return proto.wrappers_pb2.UInt32Value(value=value)


def _set(wrapper: Any, value: float | None) -> None:
    if value:
        wrapper.value = int(value)
