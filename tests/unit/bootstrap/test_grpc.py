"""`pymesh grpc-bootstrap`: the bootstrap of a gRPC application, from Istio's variables."""

import json

import pytest
from click.testing import CliRunner

from pymesh.cli import main

POD = {
    "POD_NAME": "greeter-1",
    "POD_NAMESPACE": "shop",
    "INSTANCE_IP": "10.0.0.9",
    "ISTIO_METAJSON_LABELS": '{"app": "greeter", "istio-locality": "here.one.a"}',
    "PROXY_CONFIG": "{discoveryAddress: 'istiod.istio-system.svc:15012'}",
}
FILES = {
    "certificate_file": "/certs/cert-chain.pem",
    "private_key_file": "/certs/key.pem",
    "ca_certificate_file": "/certs/root-cert.pem",
    "refresh_interval": "900s",
}


def run(*options: str, **variables: str | None):
    return CliRunner().invoke(main, ["grpc-bootstrap", *options], env={**POD, **variables})


def printed(*options: str, **variables: str | None):
    result = run(*options, **variables)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_the_node_is_the_workload():
    node = printed()["node"]
    assert (node["id"], node["cluster"]) == ("sidecar~10.0.0.9~greeter-1.shop~shop.svc.cluster.local", "greeter.shop")
    assert node["locality"] == {"region": "here", "zone": "one", "sub_zone": "a"}
    assert (node["metadata"]["GENERATOR"], node["metadata"]["LABELS"]["app"]) == ("grpc", "greeter")


def test_servers_are_named_as_in_istio():
    assert printed()["server_listener_resource_name_template"] == "xds.istio.io/grpc/lds/inbound/%s"


@pytest.mark.parametrize(("options", "variables"), [(["--certs", "/certs"], {}), ([], {"OUTPUT_CERTS": "/certs"})])
def test_certificates_are_watched_and_shown_to_the_control_plane(options, variables):
    made = printed(*options, XDS_ROOT_CA="/roots.pem", **variables)
    assert made["certificate_providers"] == {"default": {"plugin_name": "file_watcher", "config": FILES}}
    (server,) = made["xds_servers"]
    assert (server["server_uri"], server["server_features"]) == ("istiod.istio-system.svc:15012", ["xds_v3"])
    assert server["channel_creds"] == [{"type": "tls", "config": {**FILES, "ca_certificate_file": "/roots.pem"}}]


def test_files_are_read_again_before_what_they_replace_has_ended():
    made = printed("--certs", "/certs", SECRET_TTL="80s", SECRET_GRACE_PERIOD_RATIO="0.25")
    assert made["certificate_providers"]["default"]["config"]["refresh_interval"] == "5s"


def test_without_certificates_there_is_no_provider():
    made = printed(XDS_ROOT_CA="/roots.pem")
    assert "certificate_providers" not in made
    assert made["xds_servers"][0]["channel_creds"] == [{"type": "tls", "config": {"ca_certificate_file": "/roots.pem"}}]


def test_a_plaintext_control_plane_gets_no_credentials():
    (server,) = printed("--certs", "/certs", PROXY_CONFIG="{discoveryAddress: '127.0.0.1:15010'}")["xds_servers"]
    assert (server["server_uri"], server["channel_creds"]) == ("127.0.0.1:15010", [{"type": "insecure"}])


def test_every_mistake_in_the_environment_is_told():
    result = run(POD_NAME=None, INSTANCE_IP="nonsense")
    assert result.exit_code == 64
    assert result.stderr.splitlines() == [
        "pymesh grpc-bootstrap: POD_NAME is not set",
        "pymesh grpc-bootstrap: INSTANCE_IP: 'nonsense' is not an IP address",
    ]
