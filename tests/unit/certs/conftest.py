"""An authority on a temporary directory, signing requests, and a clock that only tests move."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh_certs import keys
from pymesh_certs.authority import Authority

NOW = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)
TRUST_DOMAIN = "cluster.local"


class Clock:
    """Stands still until told otherwise; callable for what wants a datetime, `.timestamp` for what wants seconds."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def timestamp(self):
        return self.now.timestamp()

    def advance(self, **parts):
        self.now += timedelta(**parts)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ca_dir(tmp_path):
    return tmp_path / "ca"


@pytest.fixture
def authority(ca_dir, clock):
    return Authority.load_or_create(ca_dir, TRUST_DOMAIN, clock)


@pytest.fixture(scope="session")
def make_csr():
    def make(key=None, *, extensions=(), subject=(), algorithm=None):
        key = key or keys.generate()
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, algorithm or hashes.SHA256()).public_bytes(Encoding.PEM)

    return make
