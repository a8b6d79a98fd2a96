"""The certificate service over real TLS, with our client and with hand-made calls."""

from datetime import timedelta

import grpc
import grpc.aio
import pytest
from cryptography import x509

from pymesh.identity import parse, workload_id
from pymesh_certs import authenticate, keys, messages, service
from pymesh_certs.authority import Authority
from pymesh_certs.client import CaClient, KeyPair
from pymesh_certs.errors import AuthenticationFailed, CaRefused, CaUnavailable
from pymesh_certs.messages import CertificateRequest, CertificateResponse
from pymesh_certs.peer import TlsPeer
from pymesh_certs.rate import Rate

from .served import Ca

DAY = timedelta(days=1)


@pytest.fixture
async def ca(ca_dir):
    ca = Ca(ca_dir)
    yield ca
    await ca.server.stop(None)


def identity_in(chain):
    names = x509.load_pem_x509_certificate(chain[0].encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [name.value for name in names.value]


async def test_a_join_token_becomes_a_certificate(ca, make_csr):
    await ca.start()
    chain = await ca.client().sign(make_csr(), DAY, None)
    assert identity_in(chain) == ["spiffe://cluster.local/ns/ml/sa/model"]
    assert chain[-1].encode() == ca.authority.root_pem
    assert (ca.count("csr_count"), ca.count("success_cert_issuance_count")) == (1, 1)


async def test_a_certificate_renews_itself_without_a_token(ca, make_csr, tmp_path):
    await ca.start(client_certificates=True)
    key = keys.generate()
    chain = ca.authority.sign(make_csr(key), workload_id("ml", "model"), DAY)
    current = KeyPair("".join(chain[:-1]).encode(), keys.to_pem(key))
    renewed = await ca.client((tmp_path / "removed").read_text).sign(make_csr(), DAY, current)
    assert identity_in(renewed) == ["spiffe://cluster.local/ns/ml/sa/model"]


@pytest.mark.parametrize("bearer", ["", "nonsense", "expired"])
async def test_a_caller_without_a_good_token_learns_nothing(ca, make_csr, bearer, caplog):
    await ca.start()
    shown = ca.token(clock=lambda: 1_000_000) if bearer == "expired" else bearer
    with pytest.raises(CaRefused) as caught:
        await ca.client(lambda: shown).sign(make_csr(), DAY, None)
    assert f"UNAUTHENTICATED: {service.UNAUTHENTICATED}" in str(caught.value)
    assert ("expired" in str(caught.value)) is bool(shown)
    assert "join token: " in caplog.text, "the reason is in the log"
    assert ca.count("authentication_failure_count") == 1


async def test_a_token_is_kept_out_of_the_log(ca, make_csr, caplog):
    caplog.set_level(0)
    await ca.start()
    shown = ca.token(clock=lambda: 1_000_000)
    with pytest.raises(CaRefused):
        await ca.client(lambda: shown).sign(make_csr(), DAY, None)
    assert shown not in caplog.text


async def test_no_certificate_is_given_over_plaintext(ca, make_csr):
    await ca.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ca.plaintext_port}") as channel:
        call = channel.unary_unary(messages.METHOD, request_serializer=CertificateRequest.to_bytes)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(CertificateRequest(make_csr().decode(), 60), metadata=(("authorization", f"Bearer {ca.token()}"),))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_too_long_a_life_is_the_callers_error(ca, make_csr):
    await ca.start()
    for ttl in (timedelta(days=91), timedelta(days=200_000)):
        with pytest.raises(CaRefused, match="INVALID_ARGUMENT"):
            await ca.client().sign(make_csr(), ttl, None)
    assert ca.count("csr_sign_err_count") == 2


async def test_a_malformed_request_is_the_callers_error(ca):
    await ca.start()
    with pytest.raises(CaRefused, match="INVALID_ARGUMENT"):
        await ca.client().sign(b"no request", DAY, None)
    assert ca.count("csr_parsing_err_count") == 1


async def test_who_asks_too_often_is_told_to_come_later(ca_dir, make_csr):
    ca = Ca(ca_dir, Rate(burst=2, per_second=0.001))
    await ca.start()
    for _ in range(2):
        await ca.client().sign(make_csr(), DAY, None)
    with pytest.raises(CaUnavailable, match="RESOURCE_EXHAUSTED: this identity asks too often"):
        await ca.client().sign(make_csr(), DAY, None)
    assert (ca.count("success_cert_issuance_count"), ca.count("csr_sign_err_count")) == (2, 1)
    await ca.server.stop(None)


async def test_impersonation_is_refused(ca, make_csr):
    await ca.start()
    request = CertificateRequest(make_csr().decode(), 60, {"ImpersonatedIdentity": "spiffe://cluster.local/ns/ml/sa/other"})
    async with grpc.aio.secure_channel(f"127.0.0.1:{ca.port}", grpc.ssl_channel_credentials(ca.authority.root_pem)) as channel:
        call = channel.unary_unary(messages.METHOD, request_serializer=CertificateRequest.to_bytes)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request, metadata=(("authorization", f"Bearer {ca.token()}"),))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_ca_under_another_root_is_not_told_our_token(ca, tmp_path, make_csr):
    await ca.start()
    other = Authority.load_or_create(tmp_path / "other", "cluster.local")
    client = CaClient(f"127.0.0.1:{ca.port}", lambda: other.root_pem, ca.token)
    with pytest.raises(CaUnavailable):
        await client.sign(make_csr(), DAY, None)
    assert ca.count("csr_count") == 0


async def test_a_root_or_token_that_cannot_be_read_is_unavailable(ca, make_csr, tmp_path):
    await ca.start()
    missing = tmp_path / "missing"
    with pytest.raises(CaUnavailable, match="token cannot be read"):
        await ca.client(missing.read_text).sign(make_csr(), DAY, None)
    client = CaClient(f"127.0.0.1:{ca.port}", missing.read_bytes, ca.token)
    with pytest.raises(CaUnavailable, match="root cannot be read"):
        await client.sign(make_csr(), DAY, None)


@pytest.mark.parametrize(("content", "why"), [(b"\xff\xfe\x00", "is no text"), ("tökén".encode(), "no token has")])
async def test_a_token_file_that_holds_no_token_is_unavailable(ca, make_csr, tmp_path, content, why):
    """Not an error that would end the renewals: whoever mounts the file may mend it."""
    await ca.start()
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(CaUnavailable, match=why):
        await ca.client(file.read_text).sign(make_csr(), DAY, None)


@pytest.mark.parametrize("content", [b"", b"nonsense"])
async def test_the_public_webs_roots_never_stand_in_for_ours(ca, make_csr, content):
    await ca.start()
    client = CaClient(f"127.0.0.1:{ca.port}", lambda: content, ca.token)
    with pytest.raises(CaUnavailable, match="no PEM certificate"):
        await client.sign(make_csr(), DAY, None)


async def test_a_damaged_root_is_unavailable(ca, make_csr):
    await ca.start()
    damaged = ca.authority.root_pem.replace(b"M", b"N")
    client = CaClient(f"127.0.0.1:{ca.port}", lambda: damaged, ca.token, deadline=2)
    with pytest.raises(CaUnavailable):
        await client.sign(make_csr(), DAY, None)


@pytest.mark.parametrize("token", ["two\nlines", "nul\0", "ümlaut"])
async def test_a_token_that_cannot_be_sent_is_told(ca, make_csr, token):
    await ca.start()
    with pytest.raises(CaUnavailable, match="no token has"):
        await ca.client(lambda: token).sign(make_csr(), DAY, None)


async def test_a_ca_that_is_down_is_unavailable(ca, make_csr):
    await ca.start()
    await ca.server.stop(None)
    with pytest.raises(CaUnavailable, match="UNAVAILABLE"):
        await ca.client().sign(make_csr(), DAY, None)


async def test_authenticators_are_asked_in_order_and_the_first_that_knows_wins():
    class Knows:
        def __init__(self, name, answer):
            self.name = name
            self.answer = answer

        async def authenticate(self, credentials):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    a, b = parse("spiffe://cluster.local/ns/a/sa/a"), parse("spiffe://cluster.local/ns/b/sa/b")
    shown = authenticate.Credentials(TlsPeer(None))
    assert (
        await authenticate.identify(shown, [Knows("1", None), Knows("2", AuthenticationFailed("bad")), Knows("3", a), Knows("4", b)]) == a
    )
    with pytest.raises(AuthenticationFailed, match="1: none shown; 2: bad"):
        await authenticate.identify(shown, [Knows("1", None), Knows("2", AuthenticationFailed("bad"))])


async def test_a_certificate_of_another_trust_domain_is_no_credential():
    other = TlsPeer(parse("spiffe://elsewhere/ns/ml/sa/model"))
    with pytest.raises(AuthenticationFailed):
        await authenticate.ClientCertificate("cluster.local").authenticate(authenticate.Credentials(other))


def test_the_wire_form_is_istios():
    # csr = field 1, validity_duration = field 3, metadata = field 4; cert_chain = field 1, repeated.
    assert CertificateRequest("a", 5).to_bytes() == b"\x0a\x01a\x18\x05"
    assert CertificateResponse(("x", "y")).to_bytes() == b"\x0a\x01x\x0a\x01y"
    request = CertificateRequest("a", 5, {"CertSigner": "s"})
    assert CertificateRequest.from_bytes(request.to_bytes()) == request
