"""Which certificate a client is shown, and handshakes that take up an earlier session, between two layers in memory."""

import asyncio
import contextlib
import ssl
from typing import cast

import pytest
from cryptography import x509

from pymesh_proxy.testing import MemoryLoop, MemoryTransport
from pymesh_proxy.tls.config import CertificateSource, DownstreamTls, SecretValue, TlsParameters, UpstreamTls, ValidationSource
from pymesh_proxy.tls.contexts import ClientTls, ServerTls
from pymesh_proxy.tls.secrets import Secrets
from pymesh_proxy.tls.sessions import Sessions
from pymesh_proxy.wheel import Wheel
from tests.certificates import Authority

ROOT = Authority()
TLS12, TLS13 = TlsParameters(maximum="TLSv1_2"), TlsParameters()


def source(*names, **options):
    pair = ROOT.pair(*names, **options)
    return CertificateSource(chain=pair.chain, key=pair.key)


RSA = source("rsa.test", common="rsa", kind="RSA")
EC = source("ec.test", common="ec")
WILD = source("*.wild.test", common="wild")
BOTH = source("ec.test", common="ec as rsa", kind="RSA")
NAMELESS = source(common="old.test")


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Client(asyncio.Protocol):
    def __init__(self):
        self.received = b""
        self.lost = None

    def connection_made(self, transport):
        transport.write(b"ping")

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        self.lost = exc


class Pair:
    """A server and a cluster's client, which connect as often as asked."""

    def __init__(self, *, up=None, secrets=None, **down):
        wheel = Wheel(cast(asyncio.AbstractEventLoop, MemoryLoop()))
        self.secrets = secrets or Secrets()
        self.failures, self.accepted = [], []
        self.server = ServerTls(DownstreamTls(**{"certificates": (EC,)} | down), self.secrets, wheel)
        self.client = ClientTls(up or UpstreamTls(parameters=TLS13), Secrets(), wheel)

    async def connect(self, name=""):
        """The client's layer after a ping and its echo."""
        one, other = MemoryTransport.pair()
        client = Client()
        other.attach(self.server.layer(lambda layer: self.accepted.append(layer) or Echo(), self.failures.append))
        layer = self.client.layer(client, name)
        one.attach(layer)
        for _ in range(40):
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            await layer.established()
            assert client.received == b"ping"
        return layer


def common_name(layer):
    der = layer._tls.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


@pytest.mark.parametrize("parameters", [TLS12, TLS13])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rsa.test", "rsa"),
        ("ec.test", "ec"),
        ("EC.test", "ec"),
        ("a.wild.test", "wild"),
        ("a.b.wild.test", "rsa"),
        ("wild.test", "rsa"),
        ("nobody.test", "rsa"),
        ("", "ec"),
    ],
)
async def test_the_name_that_is_asked_for_chooses_the_certificate(name, expected, parameters):
    pair = Pair(certificates=(RSA, EC, WILD, BOTH), up=UpstreamTls(auto_host_sni=True, parameters=parameters), alpn=("h2",))
    layer = await pair.connect(name)
    assert common_name(layer) == expected
    assert pair.failures == []


async def test_a_name_that_no_certificate_has_can_be_treated_like_none():
    pair = Pair(certificates=(RSA, EC), scan_all=True, up=UpstreamTls(auto_host_sni=True, parameters=TLS13))
    assert common_name(await pair.connect("nobody.test")) == "ec"


async def test_a_certificate_without_alternative_names_has_its_common_name():
    pair = Pair(certificates=(RSA, NAMELESS), up=UpstreamTls(auto_host_sni=True, parameters=TLS13))
    assert common_name(await pair.connect("old.test")) == "old.test"


async def test_our_own_identity_is_that_of_the_certificate_that_was_shown():
    one, two = source("spiffe://a/b", "one.test"), source("spiffe://a/c", "two.test")
    pair = Pair(certificates=(one, two), up=UpstreamTls(auto_host_sni=True, parameters=TLS13))
    for name in ("one.test", "two.test"):
        await pair.connect(name)
    assert [pair.server.principal(layer) for layer in pair.accepted] == ["spiffe://a/b", "spiffe://a/c"]


async def test_the_protocol_is_negotiated_whichever_certificate_is_shown():
    up = UpstreamTls(auto_host_sni=True, parameters=TLS13, alpn=("http/1.1", "h2"))
    pair = Pair(certificates=(RSA, EC), alpn=("h2", "http/1.1"), up=up)
    assert [(await pair.connect(name)).alpn for name in ("rsa.test", "ec.test", "")] == ["h2"] * 3


async def test_clients_are_verified_whichever_certificate_is_shown():
    validation = ValidationSource(trusted_ca=Authority("other").pem)
    up = UpstreamTls(certificates=(EC,), auto_host_sni=True, parameters=TLS12)
    pair = Pair(certificates=(RSA, EC), validation=validation, require_client_certificate=True, up=up)
    for name in ("rsa.test", "ec.test", "nobody.test", ""):
        await pair.connect(name)
    assert [failure.partition(":")[0] for failure in pair.failures] == ["CERTIFICATE_VERIFY_FAILED"] * 4


async def test_a_client_that_names_nobody_can_be_refused_with_an_alert():
    pair = Pair(require_sni=True, up=UpstreamTls(auto_host_sni=True, parameters=TLS13))
    await pair.connect("any.test")
    refused = await pair.connect("")
    with pytest.raises(ConnectionError, match="UNRECOGNIZED_NAME"):
        await refused.established()
    assert len(pair.accepted) == 1


async def test_one_curve_can_be_chosen_and_another_is_refused():
    p384 = TlsParameters(curve="secp384r1")
    same = Pair(parameters=p384, up=UpstreamTls(parameters=p384))
    assert (await same.connect()).version == "TLSv1.3"
    other = Pair(parameters=p384, up=UpstreamTls(parameters=TlsParameters(curve="prime256v1")))
    await other.connect()
    assert len(other.failures) == 1


@pytest.mark.parametrize("parameters", [TLS12, TLS13])
async def test_a_later_handshake_takes_up_the_session(parameters):
    pair = Pair(up=UpstreamTls(parameters=parameters))
    assert [(await pair.connect()).resumed for _ in range(3)] == [False, True, True]
    assert [layer.resumed for layer in pair.accepted] == [False, True, True]
    assert (pair.client.handshakes["ssl.handshake"], pair.client.handshakes["ssl.session_reused"]) == (3, 2)


async def test_sessions_belong_to_a_server_name():
    pair = Pair(up=UpstreamTls(auto_host_sni=True, sessions=2, parameters=TLS13))
    asked = [(await pair.connect(name)).resumed for name in ("a.test", "b.test", "a.test", "b.test")]
    assert asked == [False, False, True, True]


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ({"tickets": False}, UpstreamTls(parameters=TLS13)),
        ({}, UpstreamTls(parameters=TLS13, sessions=0)),
        ({"validation": ValidationSource(trusted_ca=ROOT.pem)}, UpstreamTls(parameters=TLS13)),
    ],
)
async def test_sessions_are_not_taken_up_where_that_is_switched_off_or_clients_are_verified(down, up):
    pair = Pair(up=up, **down)
    assert [(await pair.connect()).resumed for _ in range(2)] == [False, False]


async def test_a_new_certificate_ends_old_sessions_and_is_shown_at_once():
    secrets = Secrets()
    for names in ("one", "two"):
        new = ROOT.pair("a.test", common=names)
        secrets.put(SecretValue(name="cert", chain=new.chain, key=new.key))
        if names == "one":
            pair = Pair(certificates=(CertificateSource(secret="cert"),), secrets=secrets)
            first = await pair.connect()
    layer = await pair.connect()
    assert (common_name(first), common_name(layer), layer.resumed) == ("one", "two", False)


def test_the_oldest_session_goes_and_a_ticket_of_tls_1_3_serves_once():
    kept = Sessions(2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("a", "b", "c"):
        kept.keep(name, cast(ssl.SSLSession, context), once=name == "c")
    assert [kept.take(name) is not None for name in ("a", "b", "b", "c", "c")] == [False, True, True, True, False]
    kept.clear()
    assert kept.take("b") is None
