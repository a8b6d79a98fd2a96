"""Certificates in files: a whole set at every moment, replaced in one step."""

import os
import stat
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pymesh.identity import workload_id
from pymesh_certs import files, keys
from pymesh_certs.agent.folder import CertificateFolder
from pymesh_certs.errors import FileUnusable
from pymesh_certs.workload import Bundle

NAMES = ["cert-chain.pem", "key.pem", "root-cert.pem"]


@pytest.fixture
def place(tmp_path):
    found = tmp_path / "certs"
    found.mkdir()
    return found


@pytest.fixture
def make(authority, make_csr, clock):
    """A new certificate each time."""

    def bundle():
        key = keys.generate()
        chain = authority.sign(make_csr(key), workload_id("ml", "model"), timedelta(hours=1))
        return Bundle(
            chain_pem="".join(chain[:-1]).encode(), key_pem=keys.to_pem(key), roots_pem=chain[-1].encode(),
            obtained=clock(), not_after=clock() + timedelta(hours=1),
        )  # fmt: skip

    return bundle


def pair_matches(folder):
    chain = x509.load_pem_x509_certificate((folder / "cert-chain.pem").read_bytes())
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return chain.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".."))


def test_the_files_have_istios_names_and_are_private(tmp_path, make):
    folder = CertificateFolder(tmp_path / "certs")
    assert not folder.filled
    folder.put(make())
    assert folder.filled
    assert visible(tmp_path / "certs") == NAMES
    assert all(stat.S_IMODE((tmp_path / "certs" / name).stat().st_mode) == 0o600 for name in NAMES)


def test_a_new_set_takes_the_place_of_the_old_one_and_of_any_files(place, make):
    (place / "key.pem").write_text("from somewhere else")
    folder, first, second = CertificateFolder(place), make(), make()
    folder.put(first)
    assert (place / "key.pem").read_bytes() == first.key_pem
    folder.put(second)
    assert (place / "key.pem").read_bytes() == second.key_pem
    assert len(list(place.iterdir())) == len(NAMES) + 2, "the link and one set"


@pytest.mark.parametrize("step", range(4))
def test_key_and_certificate_belong_together_wherever_the_work_is_cut(place, make, monkeypatch, step):
    folder = CertificateFolder(place)
    folder.put(make())
    steps = iter(range(10))
    write, link = files.write, CertificateFolder._lead

    def cut(then):
        def step_of_it(*arguments):
            if next(steps) == step:
                raise OSError("no space left")
            return then(*arguments)

        return step_of_it

    monkeypatch.setattr(files, "write", cut(write))
    monkeypatch.setattr(CertificateFolder, "_lead", cut(link))
    folder.put(make())
    assert pair_matches(place)
    monkeypatch.undo()
    last = make()
    folder.put(last)
    assert (place / "key.pem").read_bytes() == last.key_pem
    assert len(list(place.iterdir())) == len(NAMES) + 2


def test_what_cannot_be_written_is_told_and_leaves_what_there_is(place, make, monkeypatch, caplog):
    folder, first = CertificateFolder(place), make()
    folder.put(first)
    monkeypatch.setattr(files, "write", lambda *_: (_ for _ in ()).throw(FileUnusable("key.pem: No space left on device")))
    folder.put(make())
    assert "was not replaced: key.pem: No space left on device" in caplog.text
    assert (place / "key.pem").read_bytes() == first.key_pem


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnusable, match="Not a directory"):
        CertificateFolder(tmp_path / "file" / "certs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_a_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileUnusable, match="cannot be written there"):
        CertificateFolder(tmp_path)
