from pathlib import Path

import pytest

from pymesh import labels
from pymesh.address import Address
from pymesh.bootstrap.environment import DnsSettings, InvalidEnvironment, Settings

MINIMAL = {"POD_NAME": "model-0", "POD_NAMESPACE": "ml", "INSTANCE_IP": "10.1.2.3"}


def problems_of(**variables):
    with pytest.raises(InvalidEnvironment) as caught:
        Settings.from_environ({**MINIMAL, **variables})
    return caught.value.problems


def test_a_pod_with_only_its_own_facts_gets_istios_defaults():
    settings = Settings.from_environ(MINIMAL)
    assert str(settings.node_id) == "sidecar~10.1.2.3~model-0.ml~ml.svc.cluster.local"
    assert str(settings.identity) == "spiffe://cluster.local/ns/ml/sa/default"
    assert settings.discovery == settings.ca == Address("istiod.istio-system.svc", 15012)
    assert settings.discovery_tls
    assert (settings.prometheus_port, settings.proxy.proxy_admin_port, settings.secret_ttl) == (15090, 15000, 86400)
    assert settings.ca_root == Path("./var/run/secrets/istio/root-cert.pem")


def test_proxy_config_is_read_as_yaml_and_as_json():
    for text in (
        '{"discoveryAddress": "127.0.0.1:15010", "drainDuration": "1m30s"}',
        "discovery_address: 127.0.0.1:15010\ndrainDuration: 90s\n",
    ):
        settings = Settings.from_environ({**MINIMAL, "PROXY_CONFIG": text})
        assert settings.discovery == Address("127.0.0.1", 15010)
        assert settings.proxy.drain_duration == 90
        assert not settings.discovery_tls, "15010 is the port without TLS"


def test_a_control_plane_on_any_port_is_plaintext_when_asked():
    settings = Settings.from_environ({**MINIMAL, "PROXY_CONFIG": "{discoveryAddress: 'a:1', controlPlaneAuthPolicy: NONE}"})
    assert not settings.discovery_tls


def test_metadata_comes_from_both_families_of_variables():
    settings = Settings.from_environ(
        {
            **MINIMAL,
            "ISTIO_META_INTERCEPTION_MODE": "NONE",
            "ISTIO_METAJSON_LABELS": '{"app": "model-serving", "version": "v2"}',
            "ISTIO_METAJSON_INBOUND_PORTS": '{"http": {"bind": 21001, "app": 21002}}',
        }
    )
    assert settings.metadata["INTERCEPTION_MODE"] == "NONE"
    assert settings.metadata["INBOUND_PORTS"] == {"http": {"bind": 21001, "app": 21002}}
    assert settings.metadata["INSTANCE_IPS"] == "10.1.2.3"
    assert settings.service_cluster == "model-serving.ml"


def test_the_control_plane_is_told_the_settings_that_it_generates_by():
    config = "{concurrency: 2, gatewayTopology: {numTrustedProxies: 1}, proxyHeaders: {server: {value: x}}}"
    settings = Settings.from_environ({**MINIMAL, "PROXY_CONFIG": config})
    assert settings.metadata["PROXY_CONFIG"] == {"gatewayTopology": {"numTrustedProxies": 1}, "proxyHeaders": {"server": {"value": "x"}}}
    assert "PROXY_CONFIG" not in Settings.from_environ({**MINIMAL, "PROXY_CONFIG": "{concurrency: 2}"}).metadata


def test_proxy_metadata_acts_like_variables_and_yields_to_them():
    config = "proxyMetadata: {ISTIO_META_CLUSTER_ID: from-config, SECRET_TTL: 1h}"
    settings = Settings.from_environ({**MINIMAL, "PROXY_CONFIG": config, "ISTIO_META_CLUSTER_ID": "from-environment"})
    assert settings.metadata["CLUSTER_ID"] == "from-environment"
    assert settings.secret_ttl == 3600


def test_all_mistakes_are_told_at_once():
    with pytest.raises(InvalidEnvironment) as caught:
        Settings.from_environ({"INSTANCE_IP": "ten", "SECRET_TTL": "soon", "PROXY_CONFIG": "{proxyAdminPort: 0, tracing: {}}"})
    told = "\n".join(caught.value.problems)
    for name in ("POD_NAME", "POD_NAMESPACE", "INSTANCE_IP", "SECRET_TTL", "PROXY_CONFIG.proxyAdminPort", "PROXY_CONFIG.tracing"):
        assert name in told


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROXY_CONFIG", "{unclosed"),
        ("PROXY_CONFIG", "[a, list]"),
        ("PROXY_CONFIG", "discoveryAddress: no-port"),
        ("CA_ADDR", "host:70000"),
        ("ISTIO_METAJSON_LABELS", "{not json"),
        ("ISTIO_METAJSON_LABELS", '["a"]'),
        ("ISTIO_META_ENVOY_PROMETHEUS_PORT", "0"),
        ("SECRET_GRACE_PERIOD_RATIO", "1.5"),
        ("TRUST_DOMAIN", "Upper.Case"),
        ("PYMESH_NODE_TYPE", "ztunnel"),
        ("WORKLOAD_RSA_KEY_SIZE", "1024"),
        ("ECC_SIGNATURE_ALGORITHM", "ED25519"),
        ("ECC_CURVE", "P521"),
    ],
)
def test_a_value_that_cannot_be_honoured_is_refused_by_name(variable, value):
    (problem,) = problems_of(**{variable: value})
    assert variable in problem


def test_an_ec_key_is_made_unless_rsa_alone_is_asked_for():
    def bits(**variables):
        return Settings.from_environ({**MINIMAL, **variables}).rsa_bits

    assert bits() is None
    assert bits(WORKLOAD_RSA_KEY_SIZE="4096") == 4096
    assert bits(WORKLOAD_RSA_KEY_SIZE="4096", ECC_SIGNATURE_ALGORITHM="ECDSA") is None


def test_a_sidecar_answers_dns_queries_when_asked():
    assert Settings.from_environ(MINIMAL).dns is None
    settings = Settings.from_environ({**MINIMAL, "ISTIO_META_DNS_CAPTURE": "true"})
    assert settings.dns == DnsSettings(listen=Address("localhost", 15053), parallel=False, resolv_conf=Path("/etc/resolv.conf"))
    assert settings.metadata["DNS_CAPTURE"] == "true"


def test_it_does_so_where_and_how_it_is_told():
    own = {"DNS_PROXY_ADDR": "[::1]:53", "DNS_FORWARD_PARALLEL": "1", "PYMESH_RESOLV_CONF": "/r"}
    config = "proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}"
    settings = Settings.from_environ({**MINIMAL, **own, "PROXY_CONFIG": config})
    assert settings.dns == DnsSettings(listen=Address("::1", 53), parallel=True, resolv_conf=Path("/r"))


def test_a_gateway_answers_none():
    assert Settings.from_environ({**MINIMAL, "ISTIO_META_DNS_CAPTURE": "true"}, "router").dns is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ISTIO_META_DNS_CAPTURE", "yes"), ("DNS_FORWARD_PARALLEL", "on"), ("DNS_PROXY_ADDR", "host:53"), ("DNS_PROXY_ADDR", "127.0.0.1")],
)
def test_a_mistake_about_dns_is_told(variable, value):
    (problem,) = problems_of(**{variable: value})
    assert problem.startswith(f"{variable}: ")


def test_proxy_metadata_that_nothing_reads_are_told():
    metadata = "{SECRET_TTL: 2h, ISTIO_META_OWN: word, PROXY_XDS_VIA_AGENT: 'true', EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true'}"
    settings = Settings.from_environ({**MINIMAL, "PROXY_CONFIG": f"{{proxyMetadata: {metadata}}}"})
    assert settings.secret_ttl == 7200
    assert settings.unread == ("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "PROXY_XDS_VIA_AGENT")
    assert settings.warnings[1] == "PROXY_CONFIG.proxyMetadata.PROXY_XDS_VIA_AGENT has no effect: nothing here reads it"


@pytest.mark.parametrize("label", ["topology.istio.io/locality", "istio-locality"])
def test_a_label_that_states_the_locality_may_have_dots_for_slashes(label):
    assert labels.locality({label: "eu.west.a"}) == labels.locality({label: "eu/west/a"}) == "eu/west/a"
    assert labels.locality({"istio-locality": "us", "topology.istio.io/locality": "eu/west.2"}) == "eu/west.2"
    assert labels.locality({}) == ""
