"""Two TLS layers against each other in memory, with certificates made here."""

import asyncio
import contextlib
import datetime
import ssl
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.tcp.config import TcpOptions
from pymesh_proxy.tcp.proxy import TcpConnection
from pymesh_proxy.testing import MemoryLoop, MemoryTransport, Mesh, static_cluster
from pymesh_proxy.tls import verify
from pymesh_proxy.tls.config import CertificateSource, DownstreamTls, SecretValue, TlsParameters, UpstreamTls, ValidationSource
from pymesh_proxy.tls.contexts import ClientTls, ServerTls
from pymesh_proxy.tls.matcher import SanMatcher
from pymesh_proxy.tls.secrets import Secrets
from pymesh_proxy.wheel import Wheel

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Root:
    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])
        builder = x509.CertificateBuilder(self.name, self.name, self.key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def leaf(self, *uris, starts=NOW - DAY, ends=NOW + DAY, ca=False):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder(self.name, x509.Name([]), key.public_key(), x509.random_serial_number(), starts, ends)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=True).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False).sign(self.key, hashes.SHA256())
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return CertificateSource(chain=certificate.public_bytes(serialization.Encoding.PEM), key=private)


ROOT = Root("mesh")
SERVER = ROOT.leaf("spiffe://cluster.local/ns/default/sa/server")
CLIENT = ROOT.leaf("spiffe://cluster.local/ns/default/sa/client")
PREFIX = SanMatcher(kind="URI", text="spiffe://cluster.local/", test=lambda name: name.startswith("spiffe://cluster.local/"))


class End(asyncio.Protocol):
    def __init__(self):
        self.received = b""
        self.lost = None
        self.ended = False
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data

    def eof_received(self):
        self.ended = True
        return True

    def connection_lost(self, exc):
        self.lost = exc or True


async def settle():
    for _ in range(40):
        await asyncio.sleep(0)


async def connect(*, client=CLIENT, server=SERVER, sans=(PREFIX,), ca=ROOT.pem, secrets=None, trust=None):
    loop = MemoryLoop()
    wheel = Wheel(cast(asyncio.AbstractEventLoop, loop))
    secrets = secrets or Secrets()
    failures = []
    near, far = End(), End()
    validation = trust or ValidationSource(trusted_ca=ca, sans=sans)
    down = DownstreamTls(certificates=(server,), validation=validation, require_client_certificate=True, alpn=("http/1.1",))
    mine = (client,) if client else ()
    up = UpstreamTls(certificates=mine, validation=ValidationSource(trusted_ca=ROOT.pem), sni="a.test", alpn=("http/1.1",))
    one, other = MemoryTransport.pair()
    server_layer = ServerTls(down, secrets, wheel).layer(lambda layer: far, failures.append)
    client_layer = ClientTls(up, secrets, wheel).layer(near)
    other.attach(server_layer)
    one.attach(client_layer)
    await settle()
    return near, far, client_layer, server_layer, failures


async def test_mutual_tls_carries_bytes_and_identities():
    near, far, client, server, failures = await connect()
    await client.established()
    near.transport.write(b"ping" * 10_000)
    await settle()
    far.transport.write(b"pong")
    await settle()
    assert far.received == b"ping" * 10_000
    assert near.received == b"pong"
    assert server.peer.principal == "spiffe://cluster.local/ns/default/sa/client"
    assert (server.version, server.alpn) == ("TLSv1.3", "http/1.1")
    assert failures == []


async def test_a_client_without_certificate_is_told_so_by_an_alert():
    near, far, _, _, failures = await connect(client=None)
    assert far.transport is None
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in failures[0]
    assert "CERTIFICATE_REQUIRED" in str(near.lost)


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (Root("foreign").leaf("spiffe://cluster.local/ns/default/sa/client"), "CERTIFICATE_VERIFY_FAILED"),
        (ROOT.leaf("spiffe://cluster.local/ns/a/sa/b", starts=NOW - DAY, ends=NOW - DAY / 2), "certificate has expired"),
        (ROOT.leaf("spiffe://cluster.local/ns/a/sa/b", starts=NOW + DAY / 2), "not yet valid"),
        (ROOT.leaf("spiffe://other.domain/ns/a/sa/b"), "SAN matcher"),
        (ROOT.leaf("https://cluster.local/ns/a/sa/b"), "SAN matcher"),
        (ROOT.leaf("spiffe://cluster.local/ns/a/sa/b", "spiffe://cluster.local/ns/a/sa/c"), "exactly one URI SAN"),
        (ROOT.leaf("spiffe://cluster.local/ns/default/../kube-system/sa/b"), "dot segment"),
        (ROOT.leaf("spiffe://cluster.local/ns/a/sa/b?x=1"), "SPIFFE"),
        (ROOT.leaf("spiffe://cluster.local/ns/a/sa/b", ca=True), "not a CA's"),
    ],
)
async def test_a_peer_that_is_not_one_of_ours_is_refused_with_the_reason(client, reason):
    _, far, _, _, failures = await connect(client=client)
    assert far.transport is None
    assert reason in failures[0]


async def test_a_server_of_another_domain_is_refused_by_the_client():
    _, _, client, _, _ = await connect(server=Root("foreign").leaf("spiffe://cluster.local/ns/default/sa/server"))
    with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        await client.established()


async def test_a_rotated_secret_is_used_by_new_connections_only():
    secrets = Secrets()
    secrets.put(SecretValue(name="default", chain=SERVER.chain, key=SERVER.key))
    source = CertificateSource(secret="default")
    near, far, client, _, _ = await connect(server=source, secrets=secrets)
    await client.established()
    fresh = ROOT.leaf("spiffe://cluster.local/ns/default/sa/server")
    secrets.put(SecretValue(name="default", chain=fresh.chain, key=fresh.key))
    near.transport.write(b"still here")
    await settle()
    assert far.received == b"still here"
    _, _, second, _, _ = await connect(server=source, secrets=secrets)
    await second.established()
    assert second.peer.der == ssl.PEM_cert_to_DER_cert(fresh.chain.decode())
    assert client.peer.der != second.peer.der


async def test_a_key_that_does_not_fit_its_certificate_is_refused_and_the_old_pair_stays():
    secrets = Secrets()
    secrets.put(SecretValue(name="default", chain=SERVER.chain, key=SERVER.key))
    with pytest.raises(ConfigError, match="KEY_VALUES_MISMATCH"):
        secrets.put(SecretValue(name="default", chain=SERVER.chain, key=CLIENT.key))
    assert secrets.get("default").key == SERVER.key


@pytest.mark.parametrize(
    ("chain", "key", "reason"),
    [
        (b"garbage\n", SERVER.key, "there is no PEM certificate in the chain"),
        (SERVER.chain, b"garbage\n", "the key is no PEM private key"),
        (SERVER.chain.replace(b"M", b"!"), SERVER.key, "the PEM is damaged"),
    ],
)
async def test_what_is_no_pem_is_refused_with_the_part_that_is_not(chain, key, reason):
    with pytest.raises(ConfigError, match=reason):
        Secrets().put(SecretValue(name="default", chain=chain, key=key))


@pytest.mark.parametrize("bundle", [b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é".encode()])
async def test_a_bundle_without_certificates_is_refused_and_the_old_one_stays(bundle):
    secrets = Secrets()
    secrets.put(SecretValue(name="ROOTCA", trusted_ca=ROOT.pem))
    with pytest.raises(ConfigError, match="trusted CA"):
        secrets.put(SecretValue(name="ROOTCA", trusted_ca=bundle))
    assert secrets.get("ROOTCA").trusted_ca == ROOT.pem


async def test_text_of_any_language_may_stand_between_the_certificates_of_a_bundle():
    _, _, client, _, _ = await connect(trust=ValidationSource(trusted_ca="# Főtanúsítvány\n".encode() + ROOT.pem))
    await client.established()


async def test_text_may_stand_before_a_server_s_first_certificate_too():
    server = CertificateSource(chain="# Főtanúsítvány\n".encode() + SERVER.chain, key=SERVER.key)
    _, _, client, _, failures = await connect(server=server)
    await client.established()
    assert failures == []


async def test_plain_http_on_a_tls_port_is_named_in_the_failure():
    loop = MemoryLoop()
    failures = []
    config = DownstreamTls(certificates=(SERVER,))
    one, other = MemoryTransport.pair()
    layer = ServerTls(config, Secrets(), Wheel(cast(asyncio.AbstractEventLoop, loop))).layer(lambda layer: End(), failures.append)
    peer = End()
    other.attach(layer)
    one.attach(peer)
    one.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await settle()
    assert failures == ["HTTP_REQUEST"]


async def test_a_slow_handshake_times_out():
    loop = MemoryLoop()
    failures = []
    one, other = MemoryTransport.pair()
    layer = ServerTls(DownstreamTls(certificates=(SERVER,)), Secrets(), Wheel(cast(asyncio.AbstractEventLoop, loop))).layer(
        lambda layer: End(), failures.append
    )
    other.attach(layer)
    one.attach(End())
    layer.limit_handshake(loop.now + 10)
    loop.advance(11)
    await settle()
    assert failures == ["TLS handshake timeout"]
    assert other.closing


async def test_half_close_passes_through_tls():
    near, far, client, _, _ = await connect()
    await client.established()
    near.transport.write_eof()
    await settle()
    far.transport.write(b"answer after the client's end")
    await settle()
    assert near.received == b"answer after the client's end"


@pytest.mark.parametrize("first", ["client", "server"])
async def test_whoever_half_closes_still_gets_the_rest_and_an_end_in_order(first):
    near, far, client, _, _ = await connect()
    await client.established()
    one, other = (near, far) if first == "client" else (far, near)
    one.transport.write_eof()
    await settle()
    other.transport.write(b"the rest" * 10_000)
    other.transport.write_eof()
    await settle()
    assert one.received == b"the rest" * 10_000
    assert (one.ended, one.lost, other.lost) == (True, None, None)


async def test_the_end_is_told_once_though_a_fin_follows_the_close_notify():
    near, far, client, _, _ = await connect()
    await client.established()
    told = []
    far.eof_received = lambda: told.append(True) or True
    near.transport.write_eof()
    await settle()
    near.transport._socket.peer.protocol.eof_received()
    assert told == [True]


@pytest.mark.parametrize(("auto", "hostname", "expected"), [(True, "pod-1", "pod-1"), (True, "", "a.test"), (False, "pod-1", "a.test")])
async def test_the_server_name_is_the_endpoints_hostname_only_if_asked(auto, hostname, expected):
    wheel = Wheel(cast(asyncio.AbstractEventLoop, MemoryLoop()))
    named = []
    server = ServerTls(DownstreamTls(certificates=(SERVER,)), Secrets(), wheel)
    server.context().sni_callback = lambda tls, name, context: named.append(name)
    client = ClientTls(UpstreamTls(sni="a.test", auto_host_sni=auto), Secrets(), wheel)
    one, other = MemoryTransport.pair()
    other.attach(server.layer(lambda layer: End(), named.append))
    one.attach(client.layer(End(), hostname))
    await settle()
    assert named == [expected]


async def test_a_tcp_session_knows_the_certificate_of_its_upstream():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), tls=UpstreamTls())) as mesh:
        sessions = []
        _, ours = MemoryTransport.pair()
        options = TcpOptions(clusters=(("up", 1),), observers=(sessions.append,))
        ours.attach(TcpConnection(mesh.runtime, options, mesh.scope, Downstream(remote_address="c:1", local_address="l:2")))
        upstream = await mesh.accepted()
        await settle()
        server = ServerTls(DownstreamTls(certificates=(SERVER,)), Secrets(), mesh.runtime.wheel).layer(lambda layer: End(), print)
        upstream._transport.attach(server)
        server.data_received(upstream.received)
        await settle()
        assert sessions[0].upstream_peer.principal == "spiffe://cluster.local/ns/default/sa/server"


class Resumer(asyncio.Protocol):
    """A client that can take up an earlier session."""

    def __init__(self, context, session=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, session=session)

    def connection_made(self, transport):
        self.transport = transport
        self.shake()

    def data_received(self, data):
        self.incoming.write(data)
        self.shake()

    def shake(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        if self.outgoing.pending:
            self.transport.write(self.outgoing.read())


async def test_an_expired_certificate_does_not_come_back_through_a_resumed_session(monkeypatch):
    validation = ValidationSource(trusted_ca=ROOT.pem, sans=(PREFIX,))
    config = DownstreamTls(certificates=(SERVER,), validation=validation, require_client_certificate=True)
    server = ServerTls(config, Secrets(), Wheel(cast(asyncio.AbstractEventLoop, MemoryLoop())))
    tls12 = TlsParameters(maximum="TLSv1_2")
    client = ClientTls(UpstreamTls(certificates=(CLIENT,), parameters=tls12), Secrets(), server._wheel).context()
    ready, failures = [], []

    async def resume(session):
        one, other = MemoryTransport.pair()
        other.attach(server.layer(lambda layer: ready.append(layer) or End(), failures.append))
        peer = Resumer(client, session)
        one.attach(peer)
        await settle()
        return peer.tls

    first = await resume(None)
    second = await resume(first.session)
    assert (second.session_reused, len(ready), failures) == (True, 2, [])
    monkeypatch.setattr(verify.time, "time", lambda: (NOW + 2 * DAY).timestamp())
    third = await resume(first.session)
    assert third.session_reused
    assert (len(ready), failures) == (2, ["the certificate has expired since the session began"])
