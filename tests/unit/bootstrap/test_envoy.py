from pymesh.bootstrap import envoy
from pymesh.bootstrap.environment import Settings
from pymesh.xds import proto

MINIMAL = {"POD_NAME": "model-0", "POD_NAMESPACE": "ml", "INSTANCE_IP": "10.1.2.3"}


def bootstrap(agent=None, **variables):
    return envoy.build(Settings.from_environ({**MINIMAL, **variables}), agent)


def clusters(message):
    return {cluster.name: cluster for cluster in message.static_resources.clusters}


def xds_tls(message):
    return proto.unpack(clusters(message)["xds-grpc"].transport_socket.typed_config)


def test_a_sidecar_asks_for_everything_over_delta_ads():
    message = bootstrap()
    assert message.dynamic_resources.ads_config.api_type == proto.config_source.ApiConfigSource.DELTA_GRPC
    assert message.dynamic_resources.cds_config.HasField("ads")
    assert message.dynamic_resources.lds_config.HasField("ads")
    assert message.admin.address.socket_address.address == "127.0.0.1"


def test_a_sidecar_may_ask_for_the_state_of_the_world():
    message = bootstrap(ISTIO_DELTA_XDS="false")
    assert message.dynamic_resources.ads_config.api_type == proto.config_source.ApiConfigSource.GRPC


def test_a_sidecar_learns_where_its_like_run_if_it_is_to():
    assert not bootstrap().HasField("cluster_manager")
    message = bootstrap(ISTIO_META_ENABLE_SELF_DISCOVERY="true")
    assert message.cluster_manager.local_cluster_name == "local_cluster"
    assert clusters(message)["local_cluster"].eds_cluster_config.eds_config.HasField("ads")
    assert message.node.metadata["ENABLE_SELF_DISCOVERY"] == "true"


def test_the_control_plane_is_verified_by_its_name():
    context = xds_tls(bootstrap(XDS_ROOT_CA="/etc/root.pem")).common_tls_context
    (san,) = context.validation_context.match_typed_subject_alt_names
    assert san.matcher.exact == "istiod.istio-system.svc"
    assert context.validation_context.trusted_ca.filename == "/etc/root.pem"
    (secret,) = context.tls_certificate_sds_secret_configs
    assert secret.name == "default"
    assert not secret.HasField("sds_config")


def test_a_control_plane_by_address_is_static_and_verified_by_that_address():
    message = bootstrap(PROXY_CONFIG="discoveryAddress: 127.0.0.1:15012")
    assert clusters(message)["xds-grpc"].type == proto.cluster.Cluster.STATIC
    context = xds_tls(message)
    assert context.sni == ""
    (san,) = context.common_tls_context.validation_context.match_typed_subject_alt_names
    assert san.san_type == proto.tls_common.SubjectAltNameMatcher.IP_ADDRESS


def test_a_plaintext_control_plane_has_no_transport_socket():
    assert not clusters(bootstrap(PROXY_CONFIG="discoveryAddress: 127.0.0.1:15010"))["xds-grpc"].HasField("transport_socket")


def test_an_envoy_asks_its_agent_for_everything():
    assert set(clusters(bootstrap())) == {"agent", "prometheus_stats", "xds-grpc"}
    found = clusters(bootstrap(envoy.Agent(sds="/run/sds", xds="/run/xds")))
    assert set(found) == {"agent", "prometheus_stats", "xds-grpc", "sds-grpc"}
    paths = [found[name].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.pipe.path for name in ("xds-grpc", "sds-grpc")]
    assert paths == ["/run/xds", "/run/sds"]
    assert not found["xds-grpc"].HasField("transport_socket")


def test_metrics_are_open_to_the_network_only_where_the_pod_is():
    def bound(ip, ips):
        listener = bootstrap(INSTANCE_IP=ip, INSTANCE_IPS=ips).static_resources.listeners[0]
        return [one.socket_address.address for one in (listener.address, *(one.address for one in listener.additional_addresses))]

    assert [bound(ip, ip) for ip in ("10.1.2.3", "127.0.0.1", "fd00::1", "::1")] == [["0.0.0.0"], ["127.0.0.1"], ["::"], ["::1"]]
    assert bound("10.1.2.3", "10.1.2.3,fd00::1,10.1.2.4") == ["0.0.0.0", "::"]
    assert bound("fd00::1", "fd00::1,10.1.2.3") == ["::", "0.0.0.0"]


def test_locality_is_read_from_istios_label():
    message = bootstrap(ISTIO_METAJSON_LABELS='{"istio-locality": "eu.eu-1.rack-7"}')
    locality = message.node.locality
    assert (locality.region, locality.zone, locality.sub_zone) == ("eu", "eu-1", "rack-7")


def test_health_is_passed_on_to_the_status_port_and_nothing_else_of_it_is():
    message = bootstrap(PROXY_CONFIG="statusPort: 20001", ISTIO_META_ENVOY_STATUS_PORT="20002")
    _, health = message.static_resources.listeners
    assert health.address.socket_address.port_value == 20002
    manager = proto.unpack(health.filter_chains[0].filters[0].typed_config)
    ((route,),) = [host.routes for host in manager.route_config.virtual_hosts]
    assert (route.match.path, route.route.cluster) == ("/healthz/ready", "agent")
    endpoint = clusters(message)["agent"].load_assignment.endpoints[0].lb_endpoints[0].endpoint
    assert (endpoint.address.socket_address.address, endpoint.address.socket_address.port_value) == ("127.0.0.1", 20001)
