"""Small xDS resources and responses for the discovery tests."""

from typing import Any

from pymesh.xds import proto, types

ADS = proto.config_source.ConfigSource(resource_api_version="V3", ads=proto.config_source.AggregatedConfigSource())


def cluster(name: str, *, eds: bool = True, timeout: float = 1.0) -> Any:
    message = proto.cluster.Cluster(name=name, connect_timeout=proto.duration(timeout))
    if eds:
        message.type = proto.cluster.Cluster.EDS
        message.eds_cluster_config.eds_config.CopyFrom(ADS)
    return message


def assignment(name: str, *ports: int) -> Any:
    message = proto.endpoint.ClusterLoadAssignment(cluster_name=name)
    for port in ports:
        endpoint = message.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.socket_address.address = "127.0.0.1"
        endpoint.address.socket_address.port_value = port
    return message


def listener(name: str, *routes: str, port: int = 1) -> Any:
    """A listener with a connection manager for each RDS name."""
    message = proto.listener.Listener(name=name)
    message.address.socket_address.address = "127.0.0.1"
    message.address.socket_address.port_value = port
    for route in routes:
        manager = proto.hcm.HttpConnectionManager(rds=proto.hcm.Rds(route_config_name=route, config_source=ADS))
        message.filter_chains.add().filters.add(name="hcm", typed_config=proto.pack(manager))
    return message


def route(name: str) -> Any:
    return proto.route.RouteConfiguration(name=name)


def with_secret(message: Any, name: str, service: str = "") -> Any:
    """Give a cluster or listener a TLS context that names an SDS secret, from ADS or from a service's cluster."""
    source = ADS
    if service:
        grpc = proto.grpc_service.GrpcService(envoy_grpc=proto.grpc_service.GrpcService.EnvoyGrpc(cluster_name=service))
        api = proto.config_source.ApiConfigSource(api_type="GRPC", transport_api_version="V3", grpc_services=[grpc])
        source = proto.config_source.ConfigSource(resource_api_version="V3", api_config_source=api)
    sds = proto.secret.SdsSecretConfig(name=name, sds_config=source)
    context = proto.tls.CommonTlsContext(tls_certificate_sds_secret_configs=[sds])
    target = message.filter_chains.add() if isinstance(message, proto.listener.Listener) else message
    target.transport_socket.typed_config.CopyFrom(proto.pack(proto.tls.UpstreamTlsContext(common_tls_context=context)))
    return message


def secret(name: str) -> Any:
    return proto.secret.Secret(name=name)


def delta(type_url: str, *messages: Any, nonce: str = "1", version: str = "1", removed: tuple[str, ...] = ()) -> Any:
    resources = [
        proto.discovery.Resource(name=types.resource_name(type_url, one), version=version, resource=proto.pack(one)) for one in messages
    ]
    return proto.discovery.DeltaDiscoveryResponse(
        type_url=type_url, nonce=nonce, system_version_info=version, resources=resources, removed_resources=removed
    )


def sotw(type_url: str, *messages: Any, nonce: str = "1", version: str = "1") -> Any:
    return proto.discovery.DiscoveryResponse(
        type_url=type_url, nonce=nonce, version_info=version, resources=[proto.pack(one) for one in messages]
    )
