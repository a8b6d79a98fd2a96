"""What a resource waits for is found wherever it stands, through `Any`, with the time to wait."""

import pytest

from pymesh.xds import proto, types
from pymesh_proxy.discovery.references import Need, references_of
from pymesh_proxy.errors import ConfigError

from .resources import ADS, cluster, listener, with_secret


def needs(message: object) -> dict[Need, float]:
    return {one.need: one.fetch.timeout for one in references_of(message)}


def test_cluster_refers_to_its_assignment() -> None:
    assert needs(cluster("c")) == {Need(types.ENDPOINT, "c"): 15.0}


def test_service_name_is_the_assignment_s_name() -> None:
    message = cluster("c")
    message.eds_cluster_config.service_name = "s"
    assert needs(message) == {Need(types.ENDPOINT, "s"): 15.0}


def test_listener_refers_to_routes_and_secrets() -> None:
    message = with_secret(listener("l", "a", "b"), "default")
    assert needs(message).keys() == {Need(types.ROUTE, "a"), Need(types.ROUTE, "b"), Need(types.SECRET, "default")}


def test_secrets_of_transport_socket_matches_count() -> None:
    message = cluster("c", eds=False)
    message.transport_socket_matches.add().transport_socket.CopyFrom(with_secret(cluster("x"), "default").transport_socket)
    assert needs(message).keys() == {Need(types.SECRET, "default")}


def test_time_to_wait_is_the_source_s() -> None:
    message = cluster("c")
    message.eds_cluster_config.eds_config.initial_fetch_timeout.FromMilliseconds(0)
    assert needs(message) == {Need(types.ENDPOINT, "c"): 0.0}


def test_unknown_extension_is_left_to_the_compiler() -> None:
    message = proto.listener.Listener(name="l")
    message.filter_chains.add().filters.add().typed_config.type_url = "type.googleapis.com/no.Such"
    assert needs(message) == {}


def test_routes_from_elsewhere_than_ads_are_refused_with_their_path() -> None:
    message = proto.listener.Listener(name="l")
    manager = proto.hcm.HttpConnectionManager(rds=proto.hcm.Rds(route_config_name="r"))
    message.filter_chains.add().filters.add().typed_config.CopyFrom(proto.pack(manager))
    with pytest.raises(ConfigError) as caught:
        references_of(message)
    assert str(caught.value) == "filter_chains[0].filters[0].typed_config.rds.config_source: only ads is supported"


def test_secret_without_a_source_is_the_process_s_own() -> None:
    message = listener("l")
    context = proto.tls.CommonTlsContext(tls_certificate_sds_secret_configs=[proto.secret.SdsSecretConfig(name="default")])
    chain = message.filter_chains.add()
    chain.transport_socket.typed_config.CopyFrom(proto.pack(proto.tls.DownstreamTlsContext(common_tls_context=context)))
    ((reference,),) = [references_of(message)]
    assert (reference.need.name, reference.fetch.ads, reference.fetch.service) == ("default", False, None)
    assert ADS.HasField("ads")
