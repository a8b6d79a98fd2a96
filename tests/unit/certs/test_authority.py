from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from pymesh.identity import workload_id
from pymesh_certs import keys
from pymesh_certs.errors import CsrMalformed, CsrRefused

MODEL = workload_id("ml", "model-serving")
DAY = timedelta(days=1)


def leaf_of(chain):
    return x509.load_pem_x509_certificate(chain[0].encode())


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def verifier(authority, at):
    return PolicyBuilder().store(Store(x509.load_pem_x509_certificates(authority.root_pem))).time(at)


def test_a_leaf_verifies_against_the_root_and_carries_one_spiffe_id(authority, make_csr, clock):
    chain = authority.sign(make_csr(), MODEL, DAY)
    verified = verifier(authority, clock.now).build_client_verifier().verify(leaf_of(chain), [])
    assert [name.value for name in verified.subjects] == [str(MODEL)]
    assert chain[-1].encode() == authority.root_pem


def test_a_leaf_has_the_form_of_an_x509_svid(authority, make_csr):
    leaf = leaf_of(authority.sign(make_csr(), MODEL, DAY))
    assert leaf.subject == x509.Name([])
    assert extension(leaf, x509.SubjectAlternativeName).critical
    assert not extension(leaf, x509.BasicConstraints).value.ca
    usage = extension(leaf, x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not any([usage.value.key_cert_sign, usage.value.crl_sign, usage.value.key_encipherment])
    purposes = set(extension(leaf, x509.ExtendedKeyUsage).value)
    assert purposes == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_an_rsa_leaf_may_also_encipher_keys(authority, make_csr):
    leaf = leaf_of(authority.sign(make_csr(keys.generate(2048)), MODEL, DAY))
    assert extension(leaf, x509.KeyUsage).value.key_encipherment


def test_whatever_a_request_asks_for_beyond_its_key_is_ignored(authority, make_csr):
    admin = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/kube-system/sa/admin")
    csr = make_csr(
        subject=[x509.NameAttribute(NameOID.COMMON_NAME, "admin")],
        extensions=[
            x509.SubjectAlternativeName([admin, x509.DNSName("istiod")]),
            x509.BasicConstraints(ca=True, path_length=None),
            x509.KeyUsage(*[True] * 6, False, False, False),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
        ],
    )
    leaf = leaf_of(authority.sign(csr, MODEL, DAY))
    assert leaf.subject == x509.Name([])
    names = extension(leaf, x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [str(MODEL)]
    assert not extension(leaf, x509.BasicConstraints).value.ca
    assert not extension(leaf, x509.KeyUsage).value.key_cert_sign
    assert ExtendedKeyUsageOID.CODE_SIGNING not in set(extension(leaf, x509.ExtendedKeyUsage).value)


def test_a_leaf_begins_in_the_past_and_ends_after_the_ttl(authority, make_csr, clock):
    leaf = leaf_of(authority.sign(make_csr(), MODEL, timedelta(minutes=5)))
    assert leaf.not_valid_before_utc == clock.now - timedelta(minutes=2)
    assert leaf.not_valid_after_utc == clock.now + timedelta(minutes=5)


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-5)])
def test_no_wish_for_a_ttl_means_a_day(authority, make_csr, clock, ttl):
    assert leaf_of(authority.sign(make_csr(), MODEL, ttl)).not_valid_after_utc == clock.now + DAY


def test_ninety_days_are_given_and_a_second_more_is_refused(authority, make_csr):
    authority.sign(make_csr(), MODEL, timedelta(days=90))
    with pytest.raises(CsrRefused, match="at most 90 days"):
        authority.sign(make_csr(), MODEL, timedelta(days=90, seconds=1))


def test_no_leaf_outlives_its_signer(authority, make_csr, clock):
    clock.advance(days=3649)
    assert leaf_of(authority.sign(make_csr(), MODEL, 30 * DAY)).not_valid_after_utc == authority.signer_not_after


def test_serial_numbers_are_large_and_random(authority, make_csr):
    csr = make_csr()
    serials = {leaf_of(authority.sign(csr, MODEL, DAY)).serial_number for _ in range(20)}
    assert len(serials) == 20
    assert max(serials).bit_length() > 100


def test_authority_key_identifier_names_the_signer(authority, make_csr):
    leaf = leaf_of(authority.sign(make_csr(), MODEL, DAY))
    root = x509.load_pem_x509_certificate(authority.root_pem)
    digest = extension(root, x509.SubjectKeyIdentifier).value.digest
    assert extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier == digest


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_both_curves_are_signed(authority, make_csr, curve):
    assert authority.sign(make_csr(ec.generate_private_key(curve)), MODEL, DAY)


def weak_keys():
    return {
        "rsa-1024": rsa.generate_private_key(65537, 1024),
        "p-521": ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    }


@pytest.mark.parametrize("kind", ["rsa-1024", "p-521", "secp256k1"])
def test_other_keys_are_refused(authority, make_csr, kind):
    with pytest.raises(CsrMalformed, match="key must"):
        authority.sign(make_csr(weak_keys()[kind]), MODEL, DAY)


def test_an_ed25519_key_is_refused(authority):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM)
    with pytest.raises(CsrMalformed):
        authority.sign(pem, MODEL, DAY)


def test_a_request_signed_by_another_key_is_refused(authority, make_csr):
    genuine = x509.load_pem_x509_csr(make_csr()).public_bytes(Encoding.DER)
    forged = genuine[:-1] + bytes([genuine[-1] ^ 1])
    pem = x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM)
    with pytest.raises(CsrMalformed, match="own key"):
        authority.sign(pem, MODEL, DAY)


@pytest.mark.parametrize(
    "text", [b"", b"hello", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", b"\x00" * 100]
)
def test_what_is_no_request_is_refused(authority, text):
    with pytest.raises(CsrMalformed):
        authority.sign(text, MODEL, DAY)


def test_a_request_over_16_kib_is_not_even_parsed(authority, make_csr):
    csr = make_csr()
    padded = csr + b"\n" * (16 * 1024 + 1 - len(csr))
    assert authority.sign(padded[:-1], MODEL, DAY)
    with pytest.raises(CsrMalformed, match="16385 bytes"):
        authority.sign(padded, MODEL, DAY)


def test_the_control_planes_certificate_is_good_for_its_names_and_addresses(authority, clock):
    chain, key = authority.issue_server(["istiod.istio-system.svc"], ["127.0.0.1", "::1"])
    leaf = x509.load_pem_x509_certificates(chain)[0]
    verifier(authority, clock.now).build_server_verifier(x509.DNSName("istiod.istio-system.svc")).verify(leaf, [])
    assert keys.from_pem(key, "key").public_key() == leaf.public_key()
    addresses = extension(leaf, x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.0.1", "::1"]
