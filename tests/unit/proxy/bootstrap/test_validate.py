"""What a proxy builds for itself it must accept: the whole way from Istio's variables to compiled resources."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh_proxy.assembly import assemble
from pymesh_proxy.launch import prepare
from pymesh_proxy.main import parser
from pymesh_proxy.process import validate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    path = tmp_path / "root-cert.pem"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def environment(root: Path) -> dict[str, str]:
    return {
        "POD_NAME": "a-1",
        "POD_NAMESPACE": "shop",
        "INSTANCE_IP": "127.0.0.1",
        "CA_ROOT_CA": str(root),
        "PROXY_CONFIG": '{"discoveryAddress": "127.0.0.1:15012"}',
    }


@pytest.mark.parametrize("node_type", ["sidecar", "router"])
async def test_a_bootstrap_made_of_istios_variables_compiles(environment: dict[str, str], node_type: str) -> None:
    launch = prepare(parser().parse_args(["--mode", "validate"]), {**environment, "PYMESH_NODE_TYPE": node_type})
    await validate(launch)


async def test_the_stream_to_the_control_plane_holds_up_no_listener(environment: dict[str, str]) -> None:
    launch = prepare(parser().parse_args([]), environment)
    static = assemble(launch.plan, concurrency=1).compile(launch.plan.bootstrap)
    assert {cluster.name: cluster.references for cluster in static.clusters} == {"agent": (), "prometheus_stats": (), "xds-grpc": ()}
