"""The secure port: certificates are optional in TLS, and needed for ADS."""

import grpc
import grpc.aio
import pytest

from pymesh.xds import types

from .client import ask
from .pki import Root
from .served import node, read, refusal, secure, stub

WEB = "spiffe://cluster.local/ns/shop/sa/web"


@pytest.fixture(scope="module")
def root():
    return Root()


def channel(served, root, leaf=(None, None)):
    chain, key = leaf
    return grpc.aio.secure_channel(served.address, grpc.ssl_channel_credentials(root.pem, key, chain))


async def opened(via, **metadata):
    call = stub(via).StreamAggregatedResources()
    request = ask(types.CLUSTER)
    request.node.CopyFrom(node(**metadata))
    await call.write(request)
    return call


async def test_a_workload_with_its_own_certificate_is_served_under_its_identity(root):
    async with secure(root, cds={"a": "1"}) as served, channel(served, root, root.workload(WEB)) as via:
        call = await opened(via, NAMESPACE="shop", SERVICE_ACCOUNT="web")
        await read(call)
        assert (await served.presence.seen.get())[2] == WEB
        call.cancel()


async def test_a_stream_without_a_certificate_is_unauthenticated(root):
    async with secure(root) as served, channel(served, root) as via:
        code, sentence = await refusal(await opened(via))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert "shows none" in sentence


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("spiffe://cluster.local/ns/other/sa/web", "does not belong to namespace 'shop'"),
        ("spiffe://cluster.local/ns/shop/sa/other", "does not belong to service account 'web'"),
        ("spiffe://elsewhere.example/ns/shop/sa/web", "is of another trust domain than cluster.local"),
    ],
    ids=["namespace", "service account", "trust domain"],
)
async def test_a_certificate_of_another_workload_is_denied_with_a_sentence(root, uri, reason):
    async with secure(root) as served, channel(served, root, root.workload(uri)) as via:
        code, sentence = await refusal(await opened(via, NAMESPACE="shop", SERVICE_ACCOUNT="web"))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert reason in sentence


async def test_without_metadata_the_namespace_of_the_node_id_must_match(root):
    async with secure(root) as served, channel(served, root, root.workload("spiffe://cluster.local/ns/other/sa/web")) as via:
        assert (await refusal(await opened(via)))[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_of_an_unknown_root_does_not_get_through_tls(root):
    async with secure(root) as served, channel(served, root, Root("stranger").workload(WEB)) as via:
        call = stub(via).StreamAggregatedResources()
        assert (await refusal(call))[0] is grpc.StatusCode.UNAVAILABLE
        assert served.presence.seen.empty()


async def test_a_node_id_of_another_namespace_than_the_certificates_is_denied_whatever_the_metadata_claim(root):
    async with secure(root) as served, channel(served, root, root.workload("spiffe://cluster.local/ns/other/sa/web")) as via:
        code, sentence = await refusal(await opened(via, NAMESPACE="other"))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert "is of namespace 'shop', and its metadata claim 'other'" in sentence
