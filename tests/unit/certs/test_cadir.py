import stat
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

from pymesh.identity import workload_id
from pymesh_certs import cadir, keys, template, token
from pymesh_certs.authority import Authority
from pymesh_certs.errors import FileUnusable

NOW = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)


def start(directory):
    return Authority.load_or_create(directory, "cluster.local").root_pem


def intermediate(root, key, life=timedelta(days=30)):
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "intermediate")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(root.certificate.subject).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + life)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.KeyUsage(*[False] * 5, True, True, False, False), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False)
    return builder.sign(root.key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


@pytest.fixture
def plugged_in(ca_dir):
    """A directory as an operator with an offline root fills it."""
    root_key, key = keys.generate(), keys.generate()
    root = template.root(root_key, "offline", NOW, timedelta(days=365))
    certificate = intermediate(template.Signer(root, root_key), key)
    ca_dir.mkdir()
    contents = {
        cadir.KEY: keys.to_pem(key),
        cadir.CERTIFICATE: pem(certificate),
        cadir.CHAIN: pem(certificate) + pem(root),
        cadir.ROOT: pem(root),
    }
    for name, content in contents.items():
        (ca_dir / name).write_bytes(content)
        (ca_dir / name).chmod(0o600)
    return ca_dir


def load(directory):
    return Authority.load_or_create(directory, "cluster.local", lambda: NOW)


def test_every_file_is_private_from_the_start(ca_dir):
    load(ca_dir)
    token.load_or_create_key(ca_dir)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ca_dir.iterdir()}
    assert {cadir.KEY, cadir.CERTIFICATE, cadir.ROOT, cadir.CHAIN, token.KEY_FILE} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(ca_dir.stat().st_mode) == 0o700


def test_the_root_survives_a_restart(ca_dir):
    assert load(ca_dir).root_pem == load(ca_dir).root_pem


def test_processes_starting_together_share_one_root(ca_dir):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        roots = set(pool.map(start, [ca_dir] * 3))
    assert len(roots) == 1


def test_a_start_that_was_cut_short_is_finished_with_the_same_key(ca_dir):
    load(ca_dir)
    key = (ca_dir / cadir.KEY).read_bytes()
    (ca_dir / cadir.CERTIFICATE).unlink()
    load(ca_dir)
    assert (ca_dir / cadir.KEY).read_bytes() == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
@pytest.mark.parametrize("name", [cadir.KEY, token.KEY_FILE])
def test_a_key_that_others_could_read_is_refused(ca_dir, name, mode):
    load(ca_dir)
    token.load_or_create_key(ca_dir)
    (ca_dir / name).chmod(mode)
    with pytest.raises(FileUnusable, match=f"{name} has mode 0{mode:o}"):
        token.load_or_create_key(ca_dir) if name == token.KEY_FILE else load(ca_dir)


def test_an_operators_intermediate_signs_and_is_sent_along(plugged_in, make_csr):
    chain = load(plugged_in).sign(make_csr(), workload_id("ml", "model"), timedelta(days=1))
    leaf, middle, root = [x509.load_pem_x509_certificate(text.encode()) for text in chain]
    assert middle.subject.rfc4514_string() == "O=intermediate"
    PolicyBuilder().store(Store([root])).time(NOW).build_client_verifier().verify(leaf, [middle])


def test_a_read_only_plugged_in_directory_is_left_alone(plugged_in):
    before = sorted(path.name for path in plugged_in.iterdir())
    load(plugged_in)
    assert sorted(path.name for path in plugged_in.iterdir()) == before


def other_key():
    return keys.to_pem(keys.generate())


def other_root():
    return pem(template.root(keys.generate(), "other", NOW, timedelta(days=1)))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (cadir.KEY, other_key(), "is not the key of"),
        (cadir.KEY, b"nonsense", "no unencrypted PEM private key"),
        (cadir.CERTIFICATE, b"nonsense", "no PEM certificate"),
        (cadir.ROOT, other_root(), "does not lead to"),
        (cadir.CHAIN, other_root(), "is not issued by"),
    ],
)
def test_a_plugged_in_file_that_does_not_fit_is_told(plugged_in, name, content, sentence):
    (plugged_in / name).write_bytes(content)
    with pytest.raises(FileUnusable, match=sentence):
        load(plugged_in)


def test_an_expired_signer_is_refused_at_start(plugged_in):
    with pytest.raises(FileUnusable, match="expired at"):
        Authority.load_or_create(plugged_in, "cluster.local", lambda: NOW + timedelta(days=31))


@pytest.mark.parametrize("missing", [cadir.KEY, cadir.ROOT, cadir.CHAIN])
def test_an_incomplete_plugged_in_directory_is_never_completed(plugged_in, missing):
    (plugged_in / missing).unlink()
    with pytest.raises(FileUnusable, match=missing):
        load(plugged_in)


def test_a_leaf_cannot_be_plugged_in_as_a_ca(ca_dir, make_csr):
    authority = load(ca_dir)
    key = keys.generate()
    leaf, *_ = authority.sign(make_csr(key), workload_id("ml", "model"), timedelta(days=1))
    (ca_dir / cadir.CERTIFICATE).write_text(leaf)
    (ca_dir / cadir.KEY).write_bytes(keys.to_pem(key))
    with pytest.raises(FileUnusable, match="no CA certificate"):
        load(ca_dir)


def test_an_error_never_quotes_a_key(plugged_in):
    secret = other_key()
    (plugged_in / cadir.KEY).write_bytes(secret.replace(b"PRIVATE", b"CANARY"))
    with pytest.raises(FileUnusable) as caught:
        load(plugged_in)
    assert "CANARY" not in str(caught.value)
