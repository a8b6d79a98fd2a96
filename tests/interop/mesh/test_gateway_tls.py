"""Gateways that end TLS with credentials by name, seen with curl and OpenSSL: our proxy, and a real Envoy with the same credentials."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh.identity import workload_id
from pymesh.local.ports import HOST
from pymesh_certs import keys
from pymesh_certs.authority import Authority
from tests.interop.conftest import require
from tests.waiting import eventually

from .stage import ENVOY, OURS, Stage, resource, staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOMAIN = "example.com"
STRONG, WEAK = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
SERVERS: dict[str, dict[str, Any]] = {
    "a": {"mode": "SIMPLE", "credentialName": "a"},
    "b": {"mode": "SIMPLE", "credentialName": "b"},
    "mutual": {"mode": "MUTUAL", "credentialName": "shared"},
    "optional": {"mode": "OPTIONAL_MUTUAL", "credentialName": "shared"},
    "modern": {"mode": "SIMPLE", "credentialName": "shared", "minProtocolVersion": "TLSV1_3"},
    "picky": {"mode": "SIMPLE", "credentialName": "shared", "maxProtocolVersion": "TLSV1_2", "cipherSuites": [STRONG]},
}
"""The servers that share the HTTPS port, by the first label of their host."""
SHARED = [f"{name}.{DOMAIN}" for name, tls in SERVERS.items() if tls["credentialName"] == "shared"]

REFUSED = (16, 55, 56)
"""curl's codes that learns of the alert when its own TLS 1.3 handshake is done: in HTTP/2's layer, while it sends, or while it reads."""


@dataclass(frozen=True)
class Edge:
    """A running gateway, and what its clients know: the authority of its certificates and where it listens."""

    stage: Stage
    folder: Path
    web: Authority
    https: int
    http: int
    late: int

    def present(self, name: str, *hosts: str) -> bytes:
        """Give a credential a new certificate for some hosts; returns its chain."""
        chain, key = self.web.issue_server(hosts, [])
        self.stage.hold(name, {"tls.key": key, "tls.crt": chain})
        return chain

    @property
    def roots(self) -> str:
        return str(self.folder / "roots.pem")

    async def curl(self, host: str, *options: str, port: int = 0, scheme: str = "https") -> tuple[int, str]:
        """A request with curl: (its exit code, the body)."""
        port = port or self.https
        argv = ["-sS", "--resolve", f"{host}:{port}:{HOST}", "--cacert", self.roots, *options, f"{scheme}://{host}:{port}/"]
        return await run("curl", *argv)

    async def openssl(self, host: str, *options: str, port: int = 0) -> str:
        """A handshake with OpenSSL: all that the program says."""
        argv = ["s_client", "-connect", f"{HOST}:{port or self.https}", "-servername", host, "-CAfile", self.roots, *options]
        return (await run("openssl", *argv))[1]

    async def leaf(self, host: str, port: int = 0) -> bytes:
        """The certificate that a handshake shows, PEM; nothing when the handshake fails."""
        said = await self.openssl(host, port=port)
        start, end = said.find("-----BEGIN"), said.find("-----END CERTIFICATE-----")
        return f"{said[start:end]}-----END CERTIFICATE-----\n".encode() if start >= 0 else b""


async def run(program: str, *argv: str) -> tuple[int, str]:
    """(exit code, everything said) of a peer that gets no input."""
    process = await asyncio.create_subprocess_exec(
        str(require(program)), *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def echo() -> AsyncIterator[int]:
    """An application behind the gateways that answers with the headers it was sent; its port."""

    async def headers(request: web.Request) -> web.Response:
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    app = web.Application()
    app.router.add_get("/", headers)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[OURS, ENVOY])
async def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, echo: int) -> AsyncIterator[Edge]:
    folder = tmp_path_factory.mktemp(request.param)
    async with staged(folder) as stage:
        authority = Authority.load_or_create(folder / "web", "web.test")
        (folder / "roots.pem").write_bytes(authority.root_pem)
        edge = Edge(stage, folder, authority, stage.ports.take(), stage.ports.take(), stage.ports.take())
        edge.present("a", f"a.{DOMAIN}")
        edge.present("b", f"b.{DOMAIN}")
        edge.present("shared", *SHARED)
        stage.hold("shared", {"ca.crt": authority.root_pem})
        stage.configure("edge.yaml", *resources(edge, echo))
        await stage.start_control()
        await stage.start_gateway("edge", request.param)
        await eventually(lambda: edge.curl(f"a.{DOMAIN}"), lambda answer: answer[0] == 0)
        yield edge


def resources(edge: Edge, echo: int) -> list[dict[str, Any]]:
    servers = [server(edge.https, name, "HTTPS", tls) for name, tls in SERVERS.items()]
    servers.append(server(edge.http, "a", "HTTP", {"httpsRedirect": True}))
    servers.append(server(edge.late, "late", "HTTPS", {"mode": "SIMPLE", "credentialName": "late"}))
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    application = {
        "hosts": ["app.test"], "ports": ports, "resolution": "STATIC", "endpoints": [{"address": HOST, "ports": {"http": echo}}],
    }  # fmt: skip
    return [
        resource("Gateway", "edge", {"selector": {"edge": "edge"}, "servers": servers}),
        resource("ServiceEntry", "application", application),
        resource("VirtualService", "all", {
            "hosts": [f"*.{DOMAIN}"], "gateways": ["edge"], "http": [{"route": [{"destination": {"host": "app.test"}}]}],
        }),
    ]  # fmt: skip


def server(port: int, name: str, protocol: str, tls: dict[str, Any]) -> dict[str, Any]:
    named = {"number": port, "name": f"{protocol.lower()}-{name}", "protocol": protocol}
    return {"port": named, "hosts": [f"{name}.{DOMAIN}"], "tls": tls}


def client(folder: Path, authority: Authority) -> tuple[str, ...]:
    """A client certificate of an authority, as curl's options."""
    key = keys.generate()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    leaf, *_ = authority.sign(request.public_bytes(Encoding.PEM), workload_id("shop", "buyer", "web.test"), timedelta(hours=1))
    (folder / "client.pem").write_text(leaf)
    (folder / "client.key").write_bytes(keys.to_pem(key))
    return "--cert", str(folder / "client.pem"), "--key", str(folder / "client.key")


@pytest.mark.parametrize("name", ["a", "b"])
async def test_the_server_name_selects_the_certificate(edge: Edge, name: str) -> None:
    code, body = await edge.curl(f"{name}.{DOMAIN}")
    assert code == 0, body
    assert json.loads(body)["x-forwarded-proto"] == "https"
    leaf = x509.load_pem_x509_certificate(await edge.leaf(f"{name}.{DOMAIN}"))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"{name}.{DOMAIN}"]


async def test_a_name_that_no_server_has_is_refused(edge: Edge) -> None:
    assert await edge.leaf(f"c.{DOMAIN}") == b""
    assert (await edge.curl(f"c.{DOMAIN}"))[0] in (35, 56)  # curl: the handshake failed, by EOF or reset


async def test_http2_is_agreed_on(edge: Edge) -> None:
    assert (await edge.curl(f"a.{DOMAIN}", "--http2", "-o", "/dev/null", "-w", "%{http_version}")) == (0, "2")


async def test_a_client_must_show_a_certificate_where_the_server_says_mutual(edge: Edge, tmp_path: Path) -> None:
    said = await edge.openssl(f"mutual.{DOMAIN}", "-tls1_2")
    assert "alert number 40" in said  # handshake_failure (RFC 5246 7.2)
    assert (await edge.curl(f"mutual.{DOMAIN}"))[0] in REFUSED
    code, body = await edge.curl(f"mutual.{DOMAIN}", *client(tmp_path, edge.web))
    assert code == 0, body
    assert "URI=spiffe://web.test/ns/shop/sa/buyer" in json.loads(body)["x-forwarded-client-cert"]


@pytest.mark.parametrize("name", ["mutual", "optional"])
async def test_a_strangers_certificate_is_refused_wherever_one_is_asked_for(edge: Edge, tmp_path: Path, name: str) -> None:
    stranger = client(tmp_path, Authority.load_or_create(tmp_path / "stranger", "web.test"))
    assert (await edge.curl(f"{name}.{DOMAIN}", *stranger))[0] in REFUSED


async def test_a_client_may_show_a_certificate_where_the_server_says_optional(edge: Edge, tmp_path: Path) -> None:
    forged = ("-H", "x-forwarded-client-cert: URI=spiffe://web.test/ns/shop/sa/owner")
    code, body = await edge.curl(f"optional.{DOMAIN}", *forged)
    assert code == 0, body
    assert "x-forwarded-client-cert" not in json.loads(body)
    code, body = await edge.curl(f"optional.{DOMAIN}", *forged, *client(tmp_path, edge.web))
    assert code == 0, body
    assert "URI=spiffe://web.test/ns/shop/sa/buyer" in json.loads(body)["x-forwarded-client-cert"]
    assert "owner" not in json.loads(body)["x-forwarded-client-cert"]


async def test_plain_http_is_sent_to_https(edge: Edge) -> None:
    options = ("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")
    code, said = await edge.curl(f"a.{DOMAIN}", *options, port=edge.http, scheme="http")
    assert code == 0
    assert said.startswith(f"301 https://a.{DOMAIN}")


async def test_an_older_version_than_the_lowest_is_refused(edge: Edge) -> None:
    said = await edge.openssl(f"modern.{DOMAIN}", "-tls1_2")
    assert "alert number 70" in said  # protocol_version (RFC 5246 7.2)
    assert "Verify return code: 0 (ok)" in await edge.openssl(f"modern.{DOMAIN}", "-tls1_3")


async def test_a_cipher_that_is_not_listed_is_refused(edge: Edge) -> None:
    said = await edge.openssl(f"picky.{DOMAIN}", "-cipher", WEAK)
    assert "alert number 40" in said  # handshake_failure
    assert f"Cipher is {STRONG}" in await edge.openssl(f"picky.{DOMAIN}", "-cipher", f"{WEAK}:{STRONG}")


async def test_a_certificate_replaced_on_disk_is_shown_from_the_next_handshake_on(edge: Edge) -> None:
    host = f"a.{DOMAIN}"
    context = ssl.create_default_context(cafile=edge.roots)
    reader, writer = await asyncio.open_connection(HOST, edge.https, ssl=context, server_hostname=host)
    former = await edge.leaf(host)
    replaced = edge.present("a", host)
    assert replaced != former
    assert await eventually(lambda: edge.leaf(host), lambda leaf: leaf != former) == replaced
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())  # who is connected stays so
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def test_a_server_whose_credential_comes_late_opens_with_it(edge: Edge) -> None:
    assert await edge.leaf(f"late.{DOMAIN}", edge.late) == b""
    given = edge.present("late", f"late.{DOMAIN}")
    assert await eventually(lambda: edge.leaf(f"late.{DOMAIN}", edge.late)) == given
