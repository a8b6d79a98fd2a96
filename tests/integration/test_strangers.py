"""Who is not of the mesh is kept out of it, and told why where that is safe."""

import asyncio
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh.identity import SpiffeId, workload_id
from pymesh.local.process import Command
from pymesh_certs import keys
from pymesh_certs.authority import Authority
from pymesh_certs.token import mint
from tests.mesh import HOST, Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

_REQUEST = b"GET / HTTP/1.1\r\nHost: reviews\r\nConnection: close\r\n\r\n"


def client(folder: Path, authority: Authority, identity: SpiffeId) -> ssl.SSLContext:
    """TLS as a workload with this identity."""
    key = keys.generate()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    leaf, *_ = authority.sign(request.public_bytes(Encoding.PEM), identity, timedelta(hours=1))
    (folder / "client.pem").write_text(leaf + keys.to_pem(key).decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is the server that decides here
    context.load_cert_chain(folder / "client.pem")
    return context


async def answer(mesh: Mesh, context: ssl.SSLContext) -> bytes:
    """What reviews-v1's sidecar answers; empty when it closes the connection."""
    port = mesh.sidecar("reviews-v1").inbound["http"]["bind"]
    try:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        writer.write(_REQUEST)
        return await reader.read()
    except (ssl.SSLError, ConnectionError):
        return b""


async def test_a_peer_is_served_for_its_trust_domain_and_refused_for_another(mesh: Mesh, tmp_path: Path) -> None:
    authority = Authority.load_or_create(mesh.plan.control.ca_dir, "cluster.local")
    ours = client(tmp_path, authority, workload_id("default", "somebody"))
    assert (await answer(mesh, ours)).startswith(b"HTTP/1.1 200 OK\r\n")
    theirs = client(tmp_path, authority, workload_id("default", "somebody", "elsewhere.org"))
    assert await answer(mesh, theirs) == b""


async def test_a_peer_whose_certificate_another_authority_signed_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    stranger = Authority.load_or_create(tmp_path / "ca", "cluster.local")
    assert await answer(mesh, client(tmp_path, stranger, workload_id("default", "somebody"))) == b""


async def test_an_expired_join_token_is_refused_with_a_sentence(mesh: Mesh) -> None:
    hours_ago = time.time() - 7200
    token = mint(mesh.plan.control.ca_dir, "default", "late", timedelta(hours=1), clock=lambda: hours_ago)
    assert "expired" in await refusal(mesh, "late", token)


async def test_a_join_token_of_another_account_does_not_make_an_impostor(mesh: Mesh) -> None:
    token = mint(mesh.plan.control.ca_dir, "default", "honest", timedelta(hours=1))
    assert "sa/honest, but this workload is" in await refusal(mesh, "impostor", token)


async def test_a_join_token_that_another_authority_signed_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path / "ca", "cluster.local")
    token = mint(tmp_path / "ca", "default", "stranger", timedelta(hours=1))
    assert "join token" in await refusal(mesh, "stranger", token)


async def refusal(mesh: Mesh, pod: str, token: str) -> str:
    """What a sidecar that joins with this token says of its certificate; it is not ready for as long."""
    proxy = mesh.place(pod)
    proxy.token.write_text(token)
    child = await mesh.supervisor.start(Command(name=pod, argv=["pymesh-proxy"], env=proxy.environment(mesh.plan.control)))
    line = await child.says("no certificate", within=20)
    async with mesh.session.get(proxy.ready_url) as answer:
        assert answer.status == 503
    await child.stop(grace=5)
    assert line is not None, child.log.read_text()
    return line
