import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from pymesh_certs import keys
from pymesh_certs.errors import FileUnusable


@pytest.mark.parametrize("bits", [None, 2048])
def test_a_key_survives_pem(bits):
    key = keys.generate(bits)
    assert keys.from_pem(keys.to_pem(key), "file").public_key() == key.public_key()


def test_an_encrypted_key_and_a_key_of_another_kind_are_refused():
    encrypted = keys.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(FileUnusable, match="file holds no unencrypted"):
        keys.from_pem(encrypted, "file")
    with pytest.raises(FileUnusable, match="Ed25519"):
        keys.from_pem(other, "file")


def test_a_crash_writes_no_key_to_disk():
    program = (
        "import resource; from pymesh_certs import keys; keys.keep_out_of_core_dumps(); print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "(0, 0)"
