"""Envoy's Bootstrap for a sidecar: who it is, where the control plane is, and the few static clusters and listeners.

Cluster names (`xds-grpc`, `sds-grpc`, `prometheus_stats`, `agent`) are Istio's, because generated configuration refers to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import labels
from ..address import Address
from ..xds import names, proto
from .environment import Settings

XDS_CLUSTER = "xds-grpc"
SDS_CLUSTER = "sds-grpc"
STATS_CLUSTER = "prometheus_stats"
STATS_PATH = "/stats/prometheus"
AGENT_CLUSTER = "agent"
HEALTH_PATH = "/healthz/ready"
BLOCKED_REPORTS = "BLOCKED_REPORTS"
"""Node metadata: the cluster by which an Envoy tells the control plane what it did not let through."""
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS_SOCKET = "envoy.transport_sockets.tls"


@dataclass(frozen=True, slots=True)
class Agent:
    """The Unix sockets of the agent beside an Envoy: for the secrets `default` and `ROOTCA`, and for xDS."""

    sds: str
    xds: str


def build(settings: Settings, agent: Agent | None) -> Any:
    """The Bootstrap message.

    None is for a proxy that holds its identity itself and calls the control plane itself: its secrets are named without a source.
    """
    clusters = [
        _cluster(STATS_CLUSTER, _address(Address("127.0.0.1", settings.proxy.proxy_admin_port)), static=True),
        _cluster(AGENT_CLUSTER, _address(_status_address(settings)), static=True),
    ]
    if agent is None:
        clusters.append(_xds_cluster(settings))
    else:
        clusters += [_agent_cluster(XDS_CLUSTER, agent.xds), _agent_cluster(SDS_CLUSTER, agent.sds)]
    manager = proto.bootstrap.ClusterManager()
    if settings.self_discovery:
        clusters.append(_local_cluster())
        manager.local_cluster_name = names.LOCAL_CLUSTER
    node = node_of(settings)
    if agent is not None and BLOCKED_REPORTS not in node.metadata.fields:
        node.metadata[BLOCKED_REPORTS] = XDS_CLUSTER
    return proto.bootstrap.Bootstrap(
        node=node,
        static_resources=proto.bootstrap.Bootstrap.StaticResources(clusters=clusters, listeners=_listeners(settings)),
        dynamic_resources=_dynamic_resources(settings),
        cluster_manager=manager if settings.self_discovery else None,
        admin=proto.bootstrap.Admin(address=_address(Address("127.0.0.1", settings.proxy.proxy_admin_port))),
    )


def node_of(settings: Settings) -> Any:
    """The Node message that the sidecar introduces itself with."""
    node = proto.base.Node(id=str(settings.node_id), cluster=settings.service_cluster)
    node.metadata.update(settings.metadata)
    if place := labels.locality(settings.metadata.get("LABELS", {})):
        node.locality.region, node.locality.zone, node.locality.sub_zone = (*place.split("/"), "", "", "")[:3]
    return node


def _dynamic_resources(settings: Settings) -> Any:
    form = "DELTA_GRPC" if settings.delta_xds else "GRPC"
    ads = proto.config_source.ConfigSource(resource_api_version="V3", ads=proto.config_source.AggregatedConfigSource())
    return proto.bootstrap.Bootstrap.DynamicResources(
        lds_config=ads,
        cds_config=ads,
        ads_config=proto.config_source.ApiConfigSource(
            api_type=form, transport_api_version="V3", set_node_on_first_message_only=True, grpc_services=[_grpc(XDS_CLUSTER)]
        ),
    )


def _grpc(cluster: str) -> Any:
    return proto.grpc_service.GrpcService(envoy_grpc=proto.grpc_service.GrpcService.EnvoyGrpc(cluster_name=cluster))


def _xds_cluster(settings: Settings) -> Any:
    cluster = _cluster(XDS_CLUSTER, _address(settings.discovery), static=settings.discovery.is_ip)
    # A control plane whose machine vanished sends no FIN; without pings Envoy would wait for TCP to notice (minutes).
    keepalive = proto.protocol.KeepaliveSettings(interval=proto.duration(30), timeout=proto.duration(10))
    _speak_http2(cluster, proto.protocol.Http2ProtocolOptions(connection_keepalive=keepalive))
    if settings.discovery_tls:
        cluster.transport_socket.name = _TLS_SOCKET
        cluster.transport_socket.typed_config.CopyFrom(proto.pack(_xds_tls(settings)))
    return cluster


def _xds_tls(settings: Settings) -> Any:
    """Mutual TLS to the control plane: our workload certificate, and its name or address among the server's SANs."""
    host = settings.discovery.host
    client = proto.secret.SdsSecretConfig(name=names.WORKLOAD_SECRET)
    san = proto.tls_common.SubjectAltNameMatcher(
        san_type="IP_ADDRESS" if settings.discovery.is_ip else "DNS", matcher=proto.string_matcher.StringMatcher(exact=host)
    )
    return proto.tls.UpstreamTlsContext(
        sni="" if settings.discovery.is_ip else host,
        common_tls_context=proto.tls.CommonTlsContext(
            alpn_protocols=["h2"],
            tls_certificate_sds_secret_configs=[client],
            validation_context=proto.tls_common.CertificateValidationContext(
                trusted_ca=proto.base.DataSource(filename=str(settings.discovery_root)), match_typed_subject_alt_names=[san]
            ),
        ),
    )


def _agent_cluster(name: str, path: str) -> Any:
    cluster = _cluster(name, proto.address.Address(pipe=proto.address.Pipe(path=path)), static=True)
    _speak_http2(cluster, proto.protocol.Http2ProtocolOptions())
    return cluster


def _local_cluster() -> Any:
    """The proxies that are like this one: EDS tells their zones."""
    ads = proto.config_source.ConfigSource(resource_api_version="V3", ads=proto.config_source.AggregatedConfigSource())
    eds = proto.cluster.Cluster.EdsClusterConfig(eds_config=ads, service_name=names.LOCAL_CLUSTER)
    return proto.cluster.Cluster(name=names.LOCAL_CLUSTER, type="EDS", connect_timeout=proto.duration(1), eds_cluster_config=eds)


def _status_address(settings: Settings) -> Address:
    """How this machine itself reaches the status port."""
    first = settings.listen_hosts[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(first, first)
    return Address(host, settings.proxy.status_port)


def _cluster(name: str, address: Any, *, static: bool) -> Any:
    endpoint = proto.endpoint_components.LbEndpoint(endpoint=proto.endpoint_components.Endpoint(address=address))
    locality = proto.endpoint_components.LocalityLbEndpoints(lb_endpoints=[endpoint])
    return proto.cluster.Cluster(
        name=name,
        type="STATIC" if static else "STRICT_DNS",
        # Envoy's own default asks for IPv6 first and stays with it: `localhost` would be [::1], where no control plane listens.
        dns_lookup_family="V4_PREFERRED",
        connect_timeout=proto.duration(1),
        load_assignment=proto.endpoint.ClusterLoadAssignment(cluster_name=name, endpoints=[locality]),
    )


def _speak_http2(cluster: Any, options: Any) -> None:
    explicit = proto.http_options.HttpProtocolOptions.ExplicitHttpConfig(http2_protocol_options=options)
    packed = proto.pack(proto.http_options.HttpProtocolOptions(explicit_http_config=explicit))
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(packed)


def _listeners(settings: Settings) -> list[Any]:
    """Ports 15090 and 15021: the metrics and the health, and nothing else of the admin interface and the status port."""
    hosts = settings.listen_hosts
    return [
        _forwarding("prometheus", hosts, settings.prometheus_port, STATS_PATH, STATS_CLUSTER),
        _forwarding("health", hosts, settings.health_port, HEALTH_PATH, AGENT_CLUSTER),
    ]


def _forwarding(name: str, hosts: Sequence[str], port: int, path: str, cluster: str) -> Any:
    """A listener that passes on one path."""
    first, *others = (_address(Address(host, port)) for host in hosts)
    route = proto.route_components.Route(
        match=proto.route_components.RouteMatch(path=path), route=proto.route_components.RouteAction(cluster=cluster)
    )
    host = proto.route_components.VirtualHost(name="backend", domains=["*"], routes=[route])
    router = proto.hcm.HttpFilter(name="envoy.filters.http.router", typed_config=proto.pack(proto.router.Router()))
    manager = proto.hcm.HttpConnectionManager(
        codec_type="AUTO",
        stat_prefix=name,
        route_config=proto.route.RouteConfiguration(virtual_hosts=[host]),
        http_filters=[router],
    )
    connection_manager = proto.listener_components.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=proto.pack(manager)
    )
    return proto.listener.Listener(
        name=name,
        address=first,
        additional_addresses=[proto.listener.AdditionalAddress(address=one) for one in others],
        filter_chains=[proto.listener_components.FilterChain(filters=[connection_manager])],
    )


def _address(address: Address) -> Any:
    socket = proto.address.SocketAddress(address=address.host, port_value=address.port)
    return proto.address.Address(socket_address=socket)
