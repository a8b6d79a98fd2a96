"""x-forwarded-client-cert in all its modes, and routes by `tls_context`, with and without a client certificate: the upstream reads what
it would read behind Envoy, and the same route is taken."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require

from .talks import bootstrap
from .upstream import Upstream

MODES = ("SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")
DETAILS: dict[str, dict[str, bool]] = {
    "no details": {},
    "all details": {"subject": True, "cert": True, "dns": True, "uri": True},
    "Istio's details": {"subject": True, "dns": True, "uri": True},
}
SENT = {"none": (), "one": ("By=spiffe://a;Hash=00",), "two lines": ("By=spiffe://a;Hash=00", "By=spiffe://b;Hash=11")}
CONTEXTS: dict[str, dict[str, bool]] = {
    "presented": {"presented": True},
    "absent": {"presented": False},
    "validated": {"validated": True},
    "unvalidated": {"validated": False},
    "both": {"presented": True, "validated": True},
    "odd": {"presented": True, "validated": False},
    "empty": {},
}
"""`tls_context` of a route, by the path below /tls."""
_TAKEN = 299
_PATIENCE = 20.0  # seconds


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'A "quoted", Org'), x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True)
class Authority:
    """Signs what a test needs; its root and the key pairs stand in `folder` as `<name>.pem` and `<name>.key`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    root: x509.Certificate

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("root")
        root = _builder(name, name, key.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
        made = cls(folder, key, root.sign(key, hashes.SHA256()))
        (folder / "root.pem").write_bytes(made.root.public_bytes(Encoding.PEM))
        return made

    def issue(self, common: str, *sans: x509.GeneralName) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common), self.root.subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        (self.folder / f"{common}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (self.folder / f"{common}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _builder(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key, serial_number=x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))


def _with_managers(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The bootstrap with TLS on each listener, the mode and details that its name says, and routes by certificate."""
    for listener in document["static_resources"]["listeners"]:
        mode, _, details = listener["name"].partition("/")
        chain = listener["filter_chains"][0]
        routes = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
        routes[:0] = [
            {"match": {"path": f"/tls/{name}", "tls_context": context}, "direct_response": {"status": _TAKEN}}
            for name, context in CONTEXTS.items()
        ]
        chain["filters"][0]["typed_config"] |= {
            "forward_client_cert_details": mode,
            "set_current_client_cert_details": DETAILS[details],
        }
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_certificates": [
                        {
                            "certificate_chain": {"filename": str(folder / "server.pem")},
                            "private_key": {"filename": str(folder / "server.key")},
                        }
                    ],
                    "validation_context": {"trusted_ca": {"filename": str(folder / "root.pem")}},
                },
            },
        }
    return document


@dataclass(frozen=True)
class Pair:
    """Both proxies' ports by listener, and the clients' TLS contexts by whether they have a certificate."""

    envoy: dict[str, int]
    ours: dict[str, int]
    contexts: dict[bool, ssl.SSLContext]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    folder, ports = tmp_path_factory.mktemp("certificates"), FreePorts()
    authority = Authority.create(folder)
    authority.issue("server", x509.UniformResourceIdentifier("spiffe://cluster.local/ns/default/sa/server"), x509.DNSName("server"))
    uri = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/default/sa/client")
    authority.issue("client", uri, x509.DNSName("one.client"), x509.DNSName("two.client"))
    programs = {"envoy": [str(require("envoy")), "--disable-hot-restart", "--concurrency", "1"], "ours": ["pymesh-proxy"]}
    async with Upstream() as upstream, Supervisor(folder) as supervisor:
        started = {}
        for name, program in programs.items():
            chosen, admin = {f"{mode}/{details}": ports.take() for mode in MODES for details in DETAILS}, ports.take()
            path = folder / f"{name}.json"
            path.write_text(json.dumps(_with_managers(bootstrap(chosen, admin, upstream.port), folder)))
            child = await supervisor.start(Command(name=name, argv=[*program, "-c", str(path)]))
            await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
            started[name] = chosen
        yield Pair(**started, contexts={known: _context(folder, known=known) for known in (False, True)})


def _context(folder: Path, *, known: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    context.check_hostname = False
    if known:
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return context


async def _read_by_upstream(port: int, context: ssl.SSLContext, sent: tuple[str, ...]) -> list[str]:
    """The lines of the header as the upstream got them."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        lines = [f"x-forwarded-client-cert: {value}\r\n" for value in sent]
        writer.write(("GET /some HTTP/1.1\r\nHost: a\r\n" + "".join(lines) + "\r\n").encode())
        async with asyncio.timeout(_PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            assert length is not None, head
            document = json.loads(await reader.readexactly(int(length[1])))
        return [value for name, value in document["headers"] if name == "x-forwarded-client-cert"]
    finally:
        writer.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("known", [True, False], ids=["known client", "unknown client"])
@pytest.mark.parametrize("details", DETAILS)
@pytest.mark.parametrize("mode", MODES)
async def test_the_upstream_is_told_the_same_of_the_client(pair: Pair, mode: str, details: str, known: bool, sent: str) -> None:
    listener = f"{mode}/{details}"
    theirs = await _read_by_upstream(pair.envoy[listener], pair.contexts[known], SENT[sent])
    ours = await _read_by_upstream(pair.ours[listener], pair.contexts[known], SENT[sent])
    assert ours == theirs


async def _is_taken(port: int, context: ssl.SSLContext, name: str) -> bool:
    """Whether a request comes to the route of a `tls_context`."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        writer.write(f"GET /tls/{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        async with asyncio.timeout(_PATIENCE):
            return int((await reader.readline()).split()[1]) == _TAKEN
    finally:
        writer.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("known", [True, False], ids=["known client", "unknown client"])
async def test_the_same_routes_are_taken_by_certificate(pair: Pair, known: bool) -> None:
    listener = f"{MODES[0]}/no details"
    theirs = {name: await _is_taken(pair.envoy[listener], pair.contexts[known], name) for name in CONTEXTS}
    assert {name: await _is_taken(pair.ours[listener], pair.contexts[known], name) for name in CONTEXTS} == theirs
    assert theirs["presented"] is known
