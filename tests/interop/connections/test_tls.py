"""OpenSSL's client before a real Envoy and before us: certificates by name, alerts, sessions, and what the logs say of failures."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority, Pair
from tests.interop.conftest import require

from .twins import HOST, Twin, Twins, twins

BOOTSTRAP = """
static_resources:
  listeners:
  - name: named
    address: {socket_address: {address: 127.0.0.1, port_value: $NAMED}}
    filter_chains:
    - name: c
      filters: &tcp
      - name: t
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: up
          access_log:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format:
                text_format_source:
                  inline_string: "%DOWNSTREAM_TRANSPORT_FAILURE_REASON% %RESPONSE_FLAGS% %BYTES_RECEIVED%\\n"
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates:
            - {certificate_chain: {filename: $FOLDER/rsa.pem}, private_key: {filename: $FOLDER/rsa.key}}
            - {certificate_chain: {filename: $FOLDER/ec.pem}, private_key: {filename: $FOLDER/ec.key}}
            - {certificate_chain: {filename: $FOLDER/wild.pem}, private_key: {filename: $FOLDER/wild.key}}
            - {certificate_chain: {filename: $FOLDER/both.pem}, private_key: {filename: $FOLDER/both.key}}
  - name: verifying
    address: {socket_address: {address: 127.0.0.1, port_value: $VERIFYING}}
    filter_chains:
    - filters: *tcp
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: $FOLDER/ec.pem}, private_key: {filename: $FOLDER/ec.key}}]
            validation_context: {trusted_ca: {filename: $FOLDER/root.pem}}
            tls_params:
              tls_maximum_protocol_version: TLSv1_2
              cipher_suites: [ECDHE-ECDSA-AES256-GCM-SHA384, "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]"]
              ecdh_curves: [P-256]
  - name: verifying3
    address: {socket_address: {address: 127.0.0.1, port_value: $VERIFYING3}}
    filter_chains:
    - filters: *tcp
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: $FOLDER/ec.pem}, private_key: {filename: $FOLDER/ec.key}}]
            validation_context: {trusted_ca: {filename: $FOLDER/root.pem}}
  - name: unsessioned
    address: {socket_address: {address: 127.0.0.1, port_value: $UNSESSIONED}}
    filter_chains:
    - filters: *tcp
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_sni: true
          disable_stateless_session_resumption: true
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: $FOLDER/ec.pem}, private_key: {filename: $FOLDER/ec.key}}]
  - name: first
    address: {socket_address: {address: 127.0.0.1, port_value: $FIRST}}
    filter_chains:
    - filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: second}}]
  clusters:
  - name: up
    type: STATIC
    load_assignment: {cluster_name: up, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $UP}}}}]}]}
  - name: second
    type: STATIC
    load_assignment: {cluster_name: second, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $NAMED}}}}]}]}
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: ec.test
        common_tls_context:
          validation_context: {trusted_ca: {filename: $FOLDER/root.pem}}
          tls_params: {tls_maximum_protocol_version: TLSv1_3}
"""  # noqa: E501


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"up: " + await reader.read(100))
    writer.close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Path:
    """Certificates on disk."""
    path = tmp_path_factory.mktemp("tls")
    (path / "root.pem").write_bytes(authority.pem)
    wanted = (("rsa", "rsa.test", "RSA"), ("ec", "ec.test", "EC"), ("wild", "*.wild.test", "EC"), ("both", "ec.test", "RSA"))
    for name, names, kind in wanted:
        pair = authority.pair(names, common=name, kind=kind)
        (path / f"{name}.pem").write_bytes(pair.chain)
        (path / f"{name}.key").write_bytes(pair.key)
    return path


@asynccontextmanager
async def running(folder: Path, logs: Path) -> AsyncIterator[Twins]:
    upstream = await asyncio.start_server(_serve, HOST, 0)
    port = upstream.sockets[0].getsockname()[1]
    async with upstream, twins(logs, BOOTSTRAP, "NAMED", "VERIFYING", "VERIFYING3", "UNSESSIONED", "FIRST", FOLDER=folder, UP=port) as both:
        yield both


async def s_client(port: int, *options: str) -> str:
    """All that `openssl s_client` says of a connection over which it sends a line."""
    argv = ["s_client", "-connect", f"{HOST}:{port}", "-ign_eof", *options]
    process = await asyncio.create_subprocess_exec(
        str(require("openssl")), *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate(b"hello\n")
    return said.decode(errors="replace")


def facts(said: str) -> list[str]:
    """Whose certificate was shown, what was agreed on, and which alert came."""
    return re.findall(r"subject=CN = \w+|ALPN protocol: \S+|(?:New|Reused), TLSv1.\d|alert number \d+|Peer Temp Key: [^,]+, [^,]+", said)


NAMED: list[list[str]] = [
    ["-noservername"],
    ["-servername", "rsa.test"],
    ["-servername", "ec.test", "-alpn", "http/1.1,h2"],
    ["-servername", "ec.test", "-tls1_2", "-alpn", "x"],
    ["-servername", "a.wild.test"],
    ["-servername", "a.b.wild.test"],
    ["-servername", "wild.test"],
    ["-servername", "nobody.test"],
    ["-servername", "ec.test", "-sigalgs", "rsa_pss_rsae_sha256"],
    ["-servername", "rsa.test", "-sigalgs", "ECDSA+SHA256"],
    ["-noservername", "-sigalgs", "rsa_pss_rsae_sha256"],
    ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
]


async def test_the_same_certificates_are_shown_and_the_same_alerts_sent(folder: Path, tmp_path: Path) -> None:
    async with running(folder, tmp_path) as both:
        for options in NAMED:
            theirs, ours = [facts(await s_client(twin.ports["NAMED"], *options)) for twin in (both.envoy, both.ours)]
            assert theirs == ours, options
            assert ours


async def test_parameters_are_kept_to_and_strangers_get_the_same_alerts(folder: Path, tmp_path: Path) -> None:
    own = ["-cert", str(folder / "rsa.pem"), "-key", str(folder / "rsa.key"), "-tls1_2"]
    cases = [
        [*own, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        [*own, "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
        [*own, "-curves", "X25519"],
        [*own, "-curves", "X25519:P-256"],
        [*own[:4], "-tls1_3"],
        ["-tls1_2"],
    ]
    async with running(folder, tmp_path) as both:
        for options in cases:
            theirs, ours = [facts(await s_client(twin.ports["VERIFYING"], *options)) for twin in (both.envoy, both.ours)]
            assert theirs == ours, options


STRANGERS: dict[str, Callable[[Authority], Pair]] = {
    "of ours": lambda root: root.pair("a.test"),
    "expired": lambda root: root.pair("a.test", days=(-2, -1)),
    "not yet valid": lambda root: root.pair("a.test", days=(1, 2)),
    "another authority's": lambda root: Authority("another").pair("a.test"),
    "another authority's of the same name": lambda root: Authority().pair("a.test"),
    "for servers only": lambda root: root.pair("a.test", usage=("server",)),
    "for clients": lambda root: root.pair("a.test", usage=("client",)),
}


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_certificates_that_are_refused_get_the_same_alerts(authority: Authority, folder: Path, tmp_path: Path, version: str) -> None:
    listener = "VERIFYING" if version == "-tls1_2" else "VERIFYING3"
    async with running(folder, tmp_path) as both:
        for name, make in STRANGERS.items():
            pair = make(authority)
            (tmp_path / "client.pem").write_bytes(pair.chain)
            (tmp_path / "client.key").write_bytes(pair.key)
            shown = ["-cert", str(tmp_path / "client.pem"), "-key", str(tmp_path / "client.key"), version]
            theirs, ours = [facts(await s_client(twin.ports[listener], *shown)) for twin in (both.envoy, both.ours)]
            if name == "not yet valid":  # bad_certificate is OpenSSL's word for it, certificate_expired BoringSSL's
                theirs = [fact.replace("number 45", "number 42") for fact in theirs]
            assert theirs == ours, name
            assert any("alert" in fact for fact in ours) is (name not in ("of ours", "for clients"))


async def test_names_can_be_required_and_sessions_switched_off(folder: Path, tmp_path: Path) -> None:
    async with running(folder, tmp_path) as both:
        assert "up: hello" in await s_client(both.envoy.ports["UNSESSIONED"], "-noservername")  # Envoy has the field and leaves it at that
        assert "alert number 112" in await s_client(both.ours.ports["UNSESSIONED"], "-noservername")  # unrecognized_name
        for twin in (both.envoy, both.ours):
            assert not await resumes(twin, "UNSESSIONED", tmp_path, "-tls1_3")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_takes_up_its_session(folder: Path, tmp_path: Path, version: str) -> None:
    async with running(folder, tmp_path) as both:
        for twin in (both.envoy, both.ours):
            assert await resumes(twin, "NAMED", tmp_path, version), twin.name
        said = await s_client(both.ours.ports["NAMED"], version, "-servername", "ec.test", "-reconnect")
        assert said.count("Reused, ") == (5 if version == "-tls1_2" else 0)  # with 1.3 s_client reconnects before it has read a ticket


async def resumes(twin: Twin, listener: str, folder: Path, version: str) -> bool:
    path = folder / f"{twin.name}-session.pem"
    name = ["-servername", "ec.test", version]
    first = await s_client(twin.ports[listener], *name, "-sess_out", str(path))
    assert "New, TLS" in first
    second = await s_client(twin.ports[listener], *name, "-sess_in", str(path)) if path.exists() else ""
    return "Reused, TLS" in second


async def test_a_cluster_takes_up_its_session_with_the_next_proxy(folder: Path, tmp_path: Path) -> None:
    async with running(folder, tmp_path) as both:
        for twin in (both.envoy, both.ours):
            for _ in range(3):
                reader, writer = await asyncio.open_connection(HOST, twin.ports["FIRST"])
                writer.write(b"hello")
                assert await reader.read() == b"up: hello"
                writer.close()
            stats = await twin.stats()
            listener = f"listener.{HOST}_{twin.ports['NAMED']}.ssl"
            assert [stats[f"{owner}.{name}"] for owner in ("cluster.second.ssl", listener) for name in ("handshake", "session_reused")] == [
                3, 2, 3, 2,
            ]  # fmt: skip


async def test_a_failed_handshake_is_logged_and_counted_with_its_reason(folder: Path, tmp_path: Path) -> None:
    async with running(folder, tmp_path) as both:
        for twin in (both.envoy, both.ours):
            reader, writer = await asyncio.open_connection(HOST, twin.ports["NAMED"])
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.read()
            writer.close()
            assert "alert number" in await s_client(twin.ports["VERIFYING"], "-tls1_2")
            http, nobody = await twin.logged(2)
            assert re.fullmatch(r"TLS_error:\S*HTTP_REQUEST\S* - 0", http)
            assert re.fullmatch(r"TLS_error:\S*PEER_DID_NOT_RETURN_A_CERTIFICATE\S* - 0", nobody)
            stats = await twin.stats()
            assert stats[f"listener.{HOST}_{twin.ports['NAMED']}.ssl.connection_error"] == 1
            assert stats[f"listener.{HOST}_{twin.ports['VERIFYING']}.ssl.fail_verify_no_cert"] == 1
        assert stats[f"listener.{HOST}_{both.ours.ports['NAMED']}.ssl.failed.HTTP_REQUEST"] == 1
        log = both.ours.child.log.read_text()
        assert re.search(r"listener named: TLS handshake with 127.0.0.1:\d+ failed: HTTP_REQUEST", log)
