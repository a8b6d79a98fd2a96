"""OpenSSL's own client looks at an inbound listener that takes mutual TLS only."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh.identity import SpiffeId, workload_id
from pymesh_certs import keys
from pymesh_certs.authority import Authority
from tests.interop.conftest import require
from tests.mesh import HOST, Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

_REQUEST = b"GET / HTTP/1.1\r\nHost: reviews\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Client:
    """`openssl s_client` towards one address."""

    address: str
    roots: Path

    async def connect(self, *options: str) -> str:
        """Send a request and read until the server closes; all that the program says."""
        argv = ["s_client", "-connect", self.address, "-CAfile", str(self.roots), "-showcerts", "-ign_eof", *options]
        process = await asyncio.create_subprocess_exec(
            str(require("openssl")), *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate(_REQUEST)
        return said.decode(errors="replace")


@pytest.fixture
def client(mesh: Mesh) -> Client:
    """Looks at the inbound listener of reviews-v1's sidecar."""
    return Client(f"{HOST}:{mesh.sidecar('reviews-v1').inbound['http']['bind']}", mesh.plan.control.root)


def certificate(folder: Path, authority: Authority, identity: SpiffeId) -> list[str]:
    """A client certificate as s_client's options."""
    key = keys.generate()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    leaf, *_ = authority.sign(request.public_bytes(Encoding.PEM), identity, timedelta(hours=1))
    (folder / "client.pem").write_text(leaf)
    (folder / "client.key").write_bytes(keys.to_pem(key))
    return ["-cert", str(folder / "client.pem"), "-key", str(folder / "client.key")]


def of_the_mesh(mesh: Mesh, folder: Path) -> list[str]:
    authority = Authority.load_or_create(mesh.plan.control.ca_dir, "cluster.local")
    return certificate(folder, authority, workload_id("default", "openssl"))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_client_of_the_mesh_is_served(mesh: Mesh, client: Client, tmp_path: Path, version: str) -> None:
    said = await client.connect(version, *of_the_mesh(mesh, tmp_path))
    assert "Verify return code: 0 (ok)" in said
    assert "HTTP/1.1 200 OK" in said
    assert "URI=spiffe://cluster.local/ns/default/sa/openssl" in said


async def test_the_chain_leads_from_the_workloads_identity_to_the_root(mesh: Mesh, client: Client, tmp_path: Path) -> None:
    said = await client.connect(*of_the_mesh(mesh, tmp_path))
    pem = said[said.index("-----BEGIN CERTIFICATE") : said.rindex("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    leaf, *_ = x509.load_pem_x509_certificates(pem.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical  # the subject is empty (RFC 5280 4.2.1.6)
    assert [name.value for name in names.value] == ["spiffe://cluster.local/ns/default/sa/reviews"]
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(mesh.plan.control.root.read_bytes()))


@pytest.mark.parametrize(("version", "alert"), [("-tls1_3", "alert number 116"), ("-tls1_2", "alert number 40")])
async def test_a_client_without_a_certificate_is_refused_with_an_alert(client: Client, version: str, alert: str) -> None:
    said = await client.connect(version)
    assert alert in said  # 116 certificate_required, 40 handshake_failure (RFC 8446 6, RFC 5246 7.2)
    assert "HTTP/1.1" not in said


async def test_a_client_whose_certificate_another_authority_signed_is_refused(client: Client, tmp_path: Path) -> None:
    stranger = Authority.load_or_create(tmp_path / "ca", "cluster.local")
    said = await client.connect(*certificate(tmp_path, stranger, workload_id("default", "openssl")))
    assert "alert number 48" in said  # unknown_ca
    assert "HTTP/1.1" not in said


async def test_a_client_of_another_trust_domain_is_refused(mesh: Mesh, client: Client, tmp_path: Path) -> None:
    authority = Authority.load_or_create(mesh.plan.control.ca_dir, "cluster.local")
    said = await client.connect(*certificate(tmp_path, authority, workload_id("default", "openssl", "elsewhere.org")))
    assert "Verify return code: 0 (ok)" in said  # the roots are the same; it is the name that is refused
    assert "HTTP/1.1" not in said


async def test_plaintext_is_refused(client: Client) -> None:
    host, _, port = client.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(_REQUEST)
    with contextlib.suppress(ConnectionResetError):  # no filter chain takes it, and Envoy resets those too
        assert await reader.read() == b""
    writer.close()
