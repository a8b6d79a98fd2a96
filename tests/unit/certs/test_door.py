"""The secure port: certificates are asked for, not demanded, and never confused between connections."""

import asyncio
import ssl
from datetime import timedelta

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from pymesh.identity import workload_id
from pymesh_certs import authenticate, keys, service, token
from pymesh_certs.authority import Authority
from pymesh_certs.client import CaClient, KeyPair
from pymesh_certs.door import SecureDoor
from pymesh_certs.errors import CaRefused, CaUnavailable
from pymesh_certs.metrics import CaMetrics

DAY = timedelta(days=1)
WHO = "/test.Who/Am"


class House:
    """A gRPC server behind a door: the certificate service, and one method that says whom the door saw."""

    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority.load_or_create(directory, "cluster.local")
        self.door = SecureDoor(self.authority, ["istiod.istio-system.svc"])
        self.server = grpc.aio.server()
        ways = [authenticate.ClientCertificate("cluster.local"), authenticate.JoinTokens.of(directory, "cluster.local")]
        service.add_to_server(self.server, self.authority, ways, metrics=CaMetrics(CollectorRegistry()), peer_of=self.door.peer_of)
        handler = grpc.unary_unary_rpc_method_handler(self._who)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Who", {"Am": handler}),))
        self.server.add_insecure_port(self.door.backend)
        self.plaintext_port = self.server.add_insecure_port("127.0.0.1:0")

    async def _who(self, request, context):
        peer = self.door.peer_of(context)
        return b"plaintext" if peer is None else str(peer.identity).encode()

    async def open(self):
        await self.server.start()
        await self.door.open("127.0.0.1", 0)

    async def close(self):
        await self.server.stop(None)
        await self.door.close()

    def client(self, bearer=str):
        return CaClient(f"127.0.0.1:{self.door.port}", lambda: self.authority.root_pem, bearer)

    def pair(self, make_csr, account):
        key = keys.generate()
        chain = self.authority.sign(make_csr(key), workload_id("ml", account), DAY)
        return KeyPair("".join(chain[:-1]).encode(), keys.to_pem(key))

    def channel(self, pair=None):
        credentials = grpc.ssl_channel_credentials(self.authority.root_pem, *((pair.key_pem, pair.chain_pem) if pair else ()))
        return grpc.aio.secure_channel(f"127.0.0.1:{self.door.port}", credentials)


@pytest.fixture
async def house(ca_dir):
    house = House(ca_dir)
    await house.open()
    yield house
    await house.close()


async def test_one_port_serves_tokens_and_certificates(house, make_csr):
    minted = token.mint(house.directory, "ml", "model", DAY)
    chain = await house.client(lambda: minted).sign(make_csr(), DAY, None)
    assert len(chain) == 2
    assert await house.client().sign(make_csr(), DAY, house.pair(make_csr, "model"))
    with pytest.raises(CaRefused, match="there is no join token"):
        await house.client().sign(make_csr(), DAY, None)


async def test_each_call_knows_the_certificate_of_its_own_connection(house, make_csr):
    async with house.channel(house.pair(make_csr, "a")) as a, house.channel(house.pair(make_csr, "b")) as b, house.channel() as nobody:
        answers = await asyncio.gather(*[channel.unary_unary(WHO)(b"") for channel in (a, b, nobody) * 3])
    assert answers == [b"spiffe://cluster.local/ns/ml/sa/a", b"spiffe://cluster.local/ns/ml/sa/b", b"None"] * 3


async def test_a_plaintext_port_of_the_same_server_has_no_peer(house):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{house.plaintext_port}") as channel:
        assert await channel.unary_unary(WHO)(b"") == b"plaintext"


async def test_certificates_of_another_authority_do_not_get_in(house, tmp_path, make_csr):
    other = House(tmp_path / "other")
    with pytest.raises(CaUnavailable):
        await house.client().sign(make_csr(), DAY, other.pair(make_csr, "model"))
    await other.close()


async def test_a_certificate_that_names_no_workload_does_not_get_in(house):
    chain, key = house.authority.issue_server(["istiod.istio-system.svc"], [])
    with pytest.raises(grpc.aio.AioRpcError):
        async with house.channel(KeyPair(chain, key)) as channel:
            await channel.unary_unary(WHO)(b"", timeout=5)


async def test_plaintext_is_not_understood(house):
    reader, writer = await asyncio.open_connection("127.0.0.1", house.door.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert b"HTTP" not in await reader.read()
    writer.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "istiod.istio-system.svc"])
async def test_the_server_is_known_by_address_and_by_name(house, name):
    context = ssl.create_default_context(cadata=house.authority.root_pem.decode())
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", house.door.port, ssl=context, server_hostname=name)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    writer.close()
    await writer.wait_closed()


async def test_nothing_is_left_when_the_door_closes(ca_dir):
    house = House(ca_dir)
    await house.open()
    directory = house.door._directory
    assert [path.name for path in directory.iterdir()] == ["grpc"], "no key file"
    async with house.channel() as channel:
        await channel.unary_unary(WHO)(b"")
        assert [path.name for path in directory.iterdir()] == ["grpc"], "no socket of a connection"
        await house.close()
    assert not directory.exists()
