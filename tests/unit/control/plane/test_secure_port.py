"""One port for both: a join token buys a certificate, and the certificate opens the stream."""

from datetime import timedelta

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as to
from cryptography.hazmat.primitives.asymmetric import ec

from pymesh.xds import proto, types
from pymesh_certs import token
from pymesh_certs.client import CaClient, KeyPair
from pymesh_certs.errors import CaRefused
from pymesh_control.plane import ControlPlane

from ..ads.client import ask_delta
from ..ads.served import read
from .started import WEB, WEB_METADATA, first, options


def request():
    """A key and a signing request for it, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption()), csr.public_bytes(to.Encoding.PEM)


async def test_a_token_buys_a_certificate_with_which_the_workload_registers_and_renews(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB)
    async with ControlPlane(chosen) as plane:
        roots, where = plane.authority.root_pem, str(plane.bound.secure_xds)
        key, csr = request()
        joining = CaClient(where, lambda: roots, lambda: token.mint(chosen.ca_dir, "shop", "web", timedelta(minutes=1)))
        chain = await joining.sign(csr, timedelta(0), None)
        pair = KeyPair("".join(chain[:-1]).encode(), key)
        async with grpc.aio.secure_channel(where, grpc.ssl_channel_credentials(roots, pair.key_pem, pair.chain_pem)) as channel:
            call = proto.ads_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
            await call.write(first(ask_delta(types.CLUSTER), metadata={**WEB_METADATA, "SERVICE_ACCOUNT": "web"}))
            await read(call)
            [workload] = plane.registry.workloads()
            assert (workload.service_account, workload.tls_mode) == ("web", "istio")
            call.cancel()
        renewed = await CaClient(where, lambda: roots, lambda: "").sign(request()[1], timedelta(0), pair)
        [uri] = x509.load_pem_x509_certificate(renewed[0].encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert uri.value == "spiffe://cluster.local/ns/shop/sa/web"


async def test_neither_token_nor_certificate_buys_nothing(tmp_path):
    async with ControlPlane(options(tmp_path)) as plane:
        stranger = CaClient(str(plane.bound.secure_xds), lambda: plane.authority.root_pem, lambda: "")
        with pytest.raises(CaRefused):
            await stranger.sign(request()[1], timedelta(0), None)


def hold(folder, *places):
    for place in places:
        (folder / place).mkdir(parents=True)
        (folder / place / "tls.crt").write_bytes(b"chain of " + place.encode())
        (folder / place / "tls.key").write_bytes(b"key of " + place.encode())


async def secrets_given(channel, node_id, namespace, *names):
    """The secrets that a proxy gets that asks for these, and then for a name whose answer shows that all has been answered."""
    call = proto.ads_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
    await call.write(first(ask_delta(types.SECRET, *names), node_id, {"NAMESPACE": namespace}))
    await call.write(ask_delta(types.CLUSTER))
    found, response = [], None
    while response is None or response.type_url != types.CLUSTER:
        response = await read(call)
        if response.type_url == types.SECRET:
            found += [one.name for one in response.resources]
    call.cancel()
    return found


async def test_a_proxy_is_given_the_secrets_of_its_certificates_namespace_whatever_it_asks_for(tmp_path, caplog):
    hold(tmp_path / "secrets", "shop/web", "bank/web", "bank/vault")
    chosen = options(tmp_path, secrets=tmp_path / "secrets")
    names = ("kubernetes://web", "kubernetes://vault", "kubernetes://bank/vault", "kubernetes://bank/web")
    async with ControlPlane(chosen) as plane:
        roots, where = plane.authority.root_pem, str(plane.bound.secure_xds)
        key, csr = request()
        joining = CaClient(where, lambda: roots, lambda: token.mint(chosen.ca_dir, "shop", "web", timedelta(minutes=1)))
        chain = "".join((await joining.sign(csr, timedelta(0), None))[:-1]).encode()
        async with grpc.aio.secure_channel(where, grpc.ssl_channel_credentials(roots, key, chain)) as channel:
            own = "router~10.0.0.1~web.shop~shop.svc.cluster.local"
            assert await secrets_given(channel, own, "shop", *names) == ["kubernetes://web"]
            assert f"{own} waits for the secret kubernetes://vault, which is not among the credentials of its namespace" in caplog.text
            assert "the secret kubernetes://web," not in caplog.text
            for node_id, namespace in ((own.replace("shop", "bank"), "bank"), (own, "bank"), (own.replace("shop", "bank"), "shop")):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await secrets_given(channel, node_id, namespace, *names)
                assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with grpc.aio.insecure_channel(str(plane.bound.xds)) as channel:
            assert await secrets_given(channel, own, "shop", *names) == []
            assert "the secret kubernetes://web, and has them on the secure port only" in caplog.text
