"""CDS: a cluster for every port of every visible service and for each of its subsets, and Istio's special ones."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from pymesh.xds import names, proto
from pymesh.xds import node as nodes

from ..built import Built, pack
from ..holding import Holding, Part, holding
from ..model.destination import Policy, Rule
from ..model.memory import Same
from ..model.origin import Origin
from ..model.protocol import Protocol
from ..model.service import DYNAMIC_DNS, Port, Service
from ..model.snapshot import Snapshot
from ..model.view import ProxyView
from . import (
    balancing,
    dynamic_dns,
    endpoints,
    families,
    gateways,
    inbound,
    locality,
    outlier,
    passing,
    policy,
    secure,
    sessions,
    statnames,
)
from .common import ADS, endpoint_address, socket, struct
from .provenance import config_path, stamp
from .scope import Scope

_CLUSTER = proto.cluster.Cluster

_DNS_JITTER = 0.1  # seconds by which proxies miss one another where they ask for a name
_PASSTHROUGH_IDLE = 300.0  # seconds that an HTTP connection to an undeclared host is kept for the next request


def clusters(scope: Scope, view: ProxyView) -> Holding:
    """Every cluster of a proxy, by name."""
    outbound = scope.cached(("clusters",), lambda: Part(_outbound(scope)))
    if view.is_router:
        return holding(outbound, scope.cached(("twins",), lambda: Part(_twins(scope))) if gateways.passes_by_name(scope, view) else {})
    served = inbound.served(scope.snapshot, view)
    key = ("inbound clusters", Same(view), Same(served))
    return holding(outbound, scope.snapshot.cached(key, lambda: Part(_inbound(scope, view, served))))


def _inbound(scope: Scope, view: ProxyView, served: Iterable[inbound.InboundServer]) -> dict[str, Built]:
    """The clusters of a sidecar's own application."""
    found = {}
    if view.captures:
        found[names.INBOUND_PASSTHROUGH_CLUSTER] = scope.cached(("inbound passthrough",), lambda: pack(_inbound_passthrough(scope)))
    for server in served:
        found[names.inbound_cluster(server.app)] = pack(_application(scope.snapshot, view, server))
    return found


def _outbound(scope: Scope) -> dict[str, Built]:
    found = {names.BLACKHOLE_CLUSTER: pack(_blackhole()), names.PASSTHROUGH_CLUSTER: pack(_passthrough(scope))}
    if scope.resolves_unknown:
        found[names.ALLOW_ANY_DYNAMIC_DNS_CLUSTER] = pack(_unknown(scope))
    for service in scope.services.values():
        found |= scope.cached(("clusters of", Same(service)), partial(_of_service, scope, service))
    return found


def _of_service(scope: Scope, service: Service) -> dict[str, Built]:
    rule = scope.rule(service)
    subsets = ("", *(rule.subsets if rule else ()))
    made = (
        (names.outbound_cluster(service.host, port.number, subset), _shared(scope, service, port, subset, rule))
        for port in service.ports
        for subset in subsets
    )
    return {name: built for name, built in made if built}


def _twins(scope: Scope) -> dict[str, Built]:
    """The clusters that TLS is passed on to by server name."""
    found = {}
    for service, port, subset in passing.destinations(scope):
        built = _shared(scope, service, port, subset, scope.rule(service), passed=True)
        if built:
            found[names.sni(service.host, port.number, subset)] = built
    return found


def _shared(scope: Scope, service: Service, port: Port, subset: str, rule: Rule | None, *, passed: bool = False) -> Built | None:
    """The cluster as every client gets it whom the same rule governs."""
    settled, secured = policy.settled(scope, rule, service, port, subset)
    placed = () if scope.resolution(service) == "STATIC" else (scope.site, scope.families, locality.key(scope, service, settled))
    named = scope.type if settled.tls and settled.tls.credential_name else ""  # a credential is for gateways, or for selected workloads
    spoken = scope.type if port.protocol is Protocol.AUTO else ""
    traits = (spoken, scope.resolution(service), passed, scope.settings.keeps_header_case, secured)
    key = ("cluster", Same(service), port, subset, Same(rule), placed, named, *traits)
    origins = (*service.origins, *(rule.origins if rule else ()), *((secured.origin,) if secured else ()))
    return scope.snapshot.cached(key, lambda: _service_cluster(scope, service, port, subset, rule, settled, origins, passed=passed))


def _service_cluster(
    scope: Scope,
    service: Service,
    port: Port,
    subset: str,
    rule: Rule | None,
    settled: Policy,
    origins: Iterable[Origin],
    *,
    passed: bool,
) -> Built | None:
    name = (names.sni if passed else names.outbound_cluster)(service.host, port.number, subset)
    message = _CLUSTER(
        name=name,
        alt_stat_name=statnames.of_outbound(scope, service, port, subset, name),
        circuit_breakers=policy.breakers(settled),
        common_lb_config=_CLUSTER.CommonLbConfig(healthy_panic_threshold={"value": outlier.healthy_share(settled.outlier_detection)}),
        metadata=_metadata(service, port, subset, rule),
    )
    if service.drains:
        message.common_lb_config.MergeFrom(_CLUSTER.CommonLbConfig(override_host_status={"statuses": sessions.KEPT_IN}))
    stamp(message, origins)
    if not _discover(message, scope, service, port, subset, rule, settled, passed=passed):
        return None
    policy.connect(message, settled, scope.snapshot.mesh)
    if not passed:
        follows = scope.type != nodes.ROUTER  # a gateway's clients all offer HTTP/2, which says nothing of the service
        upgrade, keeps_case = scope.snapshot.mesh.upgrades_http, scope.settings.keeps_header_case
        http2 = policy.speak(message, port.protocol, settled, follows=follows, upgrade=upgrade, keeps_case=keeps_case)
        selects = bool(rule and rule.selector is not None)
        policy.encrypt(message, scope, service, port, subset, settled, selects=selects, http2=http2)
        policy.announce(message, settled.proxy_protocol)
        dynamic_dns.go_by_names(message, settled.tls, service.subject_alt_names)
    if settled.outlier_detection:
        message.outlier_detection.CopyFrom(outlier.detection(settled.outlier_detection))
    if service.resolution != DYNAMIC_DNS:
        locality.share(message.common_lb_config, scope, service, settled)
    return pack(message)


def _discover(
    message: Any, scope: Scope, service: Service, port: Port, subset: str, rule: Rule | None, settled: Policy, *, passed: bool
) -> bool:
    """Set how the cluster finds instances; False for a wildcard host that DNS cannot resolve and that lists none."""
    balancing.apply(message, settled)
    if scope.resolution(service) == "NONE" or balancing.wants_passthrough(settled):
        message.type, message.lb_policy = _CLUSTER.ORIGINAL_DST, _CLUSTER.CLUSTER_PROVIDED
        if service.resolution == "NONE" and not service.headless and port.target != port.number:
            message.original_dst_lb_config.upstream_port_override.value = port.target
    elif service.resolution == DYNAMIC_DNS:
        message.ClearField("lb_config")
        dynamic_dns.discover(message, scope)
    elif scope.resolution(service) == "STATIC":
        message.type = _CLUSTER.EDS
        message.eds_cluster_config.eds_config.CopyFrom(ADS)
        message.eds_cluster_config.service_name = message.name
    else:
        assignment = endpoints.assignment(scope, service, port, subset, rule, scope.instances(service, port), passed=passed)
        if not assignment.endpoints and service.host.startswith("*"):
            return False
        single = service.resolution == "DNS_ROUND_ROBIN" and assignment.endpoints  # LOGICAL_DNS needs one, and a subset may have none
        message.type = _CLUSTER.LOGICAL_DNS if single else _CLUSTER.STRICT_DNS
        message.load_assignment.CopyFrom(assignment)
        message.dns_lookup_family = families.lookup(scope.families)
        message.dns_refresh_rate.CopyFrom(proto.duration(scope.snapshot.mesh.dns_refresh_rate))
        message.respect_dns_ttl = True
        message.dns_jitter.CopyFrom(proto.duration(_DNS_JITTER))
    return True


def _metadata(service: Service, port: Port, subset: str, rule: Rule | None) -> Any:
    """What telemetry and people read: which service, which rule."""
    istio: dict[str, Any] = {
        "services": [{"host": service.host, "name": service.name, "namespace": service.namespace}],
        "default_original_port": port.number,
    }
    if rule:
        istio["config"] = config_path(rule.origins[0])
    if subset:
        istio["subset"] = subset
    if service.external:
        istio["external"] = True
    return proto.base.Metadata(filter_metadata={"istio": struct(istio)})


def _blackhole() -> Any:
    nowhere = proto.endpoint.ClusterLoadAssignment(cluster_name=names.BLACKHOLE_CLUSTER)
    return _CLUSTER(name=nowhere.cluster_name, type=_CLUSTER.STATIC, connect_timeout=proto.duration(10), load_assignment=nowhere)


def _passthrough(scope: Scope) -> Any:
    message = _original(names.PASSTHROUGH_CLUSTER, scope.snapshot, Policy(connection_pool=scope.snapshot.mesh.connection_pool))
    policy.speak(message, Protocol.AUTO, idle_timeout=_PASSTHROUGH_IDLE, keeps_case=scope.settings.keeps_header_case)
    return message


def _unknown(scope: Scope) -> Any:
    """Towards hosts that nothing declares, wherever DNS says that they are."""
    message = _CLUSTER(name=names.ALLOW_ANY_DYNAMIC_DNS_CLUSTER, circuit_breakers=policy.breakers())
    dynamic_dns.discover(message, scope)
    mesh = scope.snapshot.mesh
    policy.connect(message, None, mesh)
    policy.speak(message, Protocol.AUTO, idle_timeout=_PASSTHROUGH_IDLE, keeps_case=scope.settings.keeps_header_case)
    if mesh.unknown_tls and mesh.unknown_tls.mode and mesh.unknown_tls.mode.value != "DISABLE":
        message.transport_socket.CopyFrom(secure.originate(mesh.unknown_tls, mesh, http2=False))
    dynamic_dns.go_by_names(message, mesh.unknown_tls)
    return message


def _original(name: str, snapshot: Snapshot, settled: Policy | None) -> Any:
    breakers = policy.breakers(settled)
    message = _CLUSTER(name=name, type=_CLUSTER.ORIGINAL_DST, lb_policy=_CLUSTER.CLUSTER_PROVIDED, circuit_breakers=breakers)
    policy.connect(message, settled, snapshot.mesh)
    return message


def _inbound_passthrough(scope: Scope) -> Any:
    message = _original(names.INBOUND_PASSTHROUGH_CLUSTER, scope.snapshot, Policy(connection_pool=scope.snapshot.mesh.connection_pool))
    message.upstream_bind_config.CopyFrom(_passing(scope.families))
    policy.speak(message, Protocol.AUTO, keeps_case=scope.settings.keeps_header_case)
    return message


def _passing(versions: frozenset[int]) -> Any:
    first, *others = (proto.address.SocketAddress(address=one, port_value=0) for one in families.passthrough_sources(versions))
    extra = [proto.address.ExtraSourceAddress(address=one) for one in others]
    return proto.address.BindConfig(source_address=first, extra_source_addresses=extra)


def _application(snapshot: Snapshot, view: ProxyView, server: inbound.InboundServer) -> Any:
    """The cluster of one port of the application: where the connection was meant to go, or loopback without capture."""
    name = names.inbound_cluster(server.app)
    settled = inbound.server_policy(snapshot, view, server)
    if server.captured and not server.endpoint and not snapshot.mesh.serves_loopback:
        message = _original(name, snapshot, settled)
        message.upstream_bind_config.CopyFrom(_passing(view.families))
    else:
        message = _CLUSTER(name=name, type=_CLUSTER.STATIC, circuit_breakers=policy.breakers(settled))
        policy.connect(message, settled, snapshot.mesh)
        message.load_assignment.cluster_name = name
        address = _address(view, server)
        message.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.CopyFrom(address)
        if view.captures and address.socket_address.address in view.ips:  # what the sidecar sends there is captured but from its own source
            message.upstream_bind_config.CopyFrom(_passing(view.families))
    message.alt_stat_name = statnames.of_inbound_cluster(
        snapshot.mesh.inbound_stats, server.service, server.service_port, server.app, name
    )
    keeps_case = snapshot.settings_of(view).keeps_header_case
    policy.speak(message, server.protocol, settled, upgrade=None, keeps_case=keeps_case)  # upgrades are between proxies
    if server.service:
        message.metadata.CopyFrom(_inbound_metadata(server.service))
    stamp(message, server.origins)
    return message


def _address(view: ProxyView, server: inbound.InboundServer) -> Any:
    """Where the application listens: 0.0.0.0 and [::] in a Sidecar's endpoint mean the instance's own address of that IP version.

    Where the instance has none the endpoint is loopback's, as Istio has it.
    """
    if server.endpoint.startswith("unix://"):
        return endpoint_address(server.endpoint, 0)
    host, _, port = server.endpoint.rpartition(":")
    if not host:
        return socket(families.loopbacks(view.families)[0], server.app)
    host = host.strip("[]")
    return socket(view.own_address(host) if families.is_any(host) else host, int(port))


def _inbound_metadata(service: Service) -> Any:
    services = [{"host": service.host, "name": service.name, "namespace": service.namespace}]
    return proto.base.Metadata(filter_metadata={"istio": struct({"services": services})})
