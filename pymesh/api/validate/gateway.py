"""Gateway: servers, their hosts, and certificates that exclude one another."""

from collections.abc import Sequence

from pymesh.address import is_ip

from ..models.gateway import Gateway, Port, Server, ServerTLSSettings, TLSCertificate, TLSMode, TLSProtocol
from ..tls_names import is_cipher
from ..tree import json_name
from . import common, words
from .finding import Finding, Findings, below, repeated, verdict
from .serviceentry import PROTOCOLS
from .workloadentry import UNIX, socket_path

_TLS = ("HTTPS", "TLS")
_HTTP = ("HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB")
_PASSING = (None, TLSMode.PASSTHROUGH, TLSMode.AUTO_PASSTHROUGH)
_FILES = ("server_certificate", "private_key", "ca_certificates")
_TERMINATING = (TLSMode.SIMPLE, TLSMode.MUTUAL, TLSMode.OPTIONAL_MUTUAL)
_CERTIFICATE_FIELDS = (*_FILES, "ca_crl", "credential_name", "credential_names", "tls_certificates")
_MAX_CERTIFICATES = 2  # Envoy serves one RSA and one ECDSA certificate


def check(spec: Gateway, _namespace: str) -> Findings:
    """Everything wrong with one Gateway."""
    if not spec.servers:
        yield Finding(("servers",), "needs at least one server")
    for finding in common.labels(spec.selector):  # Istio does not look at it
        yield finding._replace(path=("selector", *finding.path), severity="warning")
    for index, server in enumerate(spec.servers):
        yield from below(("servers", index), _server(server))
        if any(server.port.name == other.port.name for other in spec.servers[:index]):
            yield Finding(("servers", index, "port", "name"), f'the port name "{server.port.name}" is used twice')


def _server(server: Server) -> Findings:
    yield from below("port", _port(server.port, server.bind or ""))
    if not server.hosts:
        yield Finding(("hosts",), "needs at least one host")
    for index, host in enumerate(server.hosts):
        yield from verdict(("hosts", index), _host(host))
    bind = server.bind or ""
    if bind.startswith(UNIX):
        yield from verdict("bind", socket_path(bind))
    elif bind and not is_ip(bind):
        yield Finding(("bind",), f'"{bind}" is neither an IP address nor unix://')
    if server.default_endpoint:
        yield Finding(("default_endpoint",), "is not looked at, in Istio as here: a VirtualService says where requests go", "warning")
    yield from _tls_for_protocol(server)
    if server.tls is not None:
        yield from below("tls", check_tls(server.tls, server.port.protocol.upper()))


def _port(port: Port, bind: str) -> Findings:
    if port.protocol.upper() not in PROTOCOLS:
        yield Finding(("protocol",), f'"{port.protocol}" is not a protocol ({", ".join(PROTOCOLS)})')
    if not port.name:
        yield Finding(("name",), "a port must have a name")
    if not bind.startswith(UNIX):
        yield from verdict("number", words.port(port.number))
    elif port.number:
        yield Finding(("number",), "the port of a Unix socket must be 0")
    if port.target_port:
        yield Finding(("target_port",), "targetPort is no longer supported, by Istio either")


def _host(host: str) -> str | None:
    namespace, slash, name = host.rpartition("/")
    if slash and namespace not in ("*", "."):
        problem = words.dns_label(namespace)
        if problem:
            return problem
    if name == "*" or is_ip(name):
        return None
    return words.full_name(name)


def _tls_for_protocol(server: Server) -> Findings:
    protocol, tls = server.port.protocol.upper(), server.tls
    if protocol in _TLS:
        if tls is None:
            yield Finding((), f"a port of protocol {protocol} needs tls")
        elif tls.https_redirect:
            yield Finding(("tls", "https_redirect"), "has an effect on HTTP ports only", "warning")
    elif tls is not None and protocol in _HTTP:
        if tls.mode not in _PASSING or any(getattr(tls, name) for name in _FILES):
            yield Finding(("tls",), f"a port of protocol {protocol} may only have tls.httpsRedirect")
    elif tls is not None and protocol in PROTOCOLS:
        yield Finding(("tls",), f"a port of protocol {protocol} cannot have tls")


def check_tls(tls: ServerTLSSettings, protocol: str) -> Findings:
    """Everything wrong with the TLS of a port that speaks `protocol`."""
    yield from _sources(tls)
    if tls.mode is TLSMode.ISTIO_MUTUAL:
        yield from _mesh_certificates(tls)
        return
    elif tls.mode in (TLSMode.PASSTHROUGH, TLSMode.AUTO_PASSTHROUGH) or (tls.mode is None and protocol in _TLS):
        yield from _passthrough(tls)
    elif tls.mode in _TERMINATING:
        yield from _terminating(tls)
    yield from _revocation(tls)
    yield from _versions(tls)


def _sources(tls: ServerTLSSettings) -> Findings:
    sources = {"credential_name": tls.credential_name, "credential_names": tls.credential_names, "tls_certificates": tls.tls_certificates}
    used = [name for name, value in sources.items() if value]
    for name in used if tls.server_certificate and tls.private_key else used[1:]:
        text = "only one of serverCertificate with privateKey, credentialName, credentialNames and tlsCertificates can be set"
        yield Finding((name,), text)
    for name, values in (("credential_names", tls.credential_names), ("tls_certificates", tls.tls_certificates)):
        if len(values) > _MAX_CERTIFICATES:  # the published schema's limits
            yield Finding((name,), f"at most {_MAX_CERTIFICATES} certificates are served")
        if name in tls.model_fields_set and not values:
            yield Finding((name,), "must not be empty")


def _mesh_certificates(tls: ServerTLSSettings) -> Findings:
    for name in _CERTIFICATE_FIELDS:
        if getattr(tls, name):
            yield Finding((name,), "mode ISTIO_MUTUAL uses the workload's own certificate", "warning" if name == "ca_crl" else "error")


def _passthrough(tls: ServerTLSSettings) -> Findings:
    for name in _CERTIFICATE_FIELDS:
        if getattr(tls, name):
            yield Finding((name,), "is ignored: a server that passes TLS through has no certificate", "warning")


def _terminating(tls: ServerTLSSettings) -> Findings:
    if tls.credential_name or tls.credential_names:
        return
    mode = (tls.mode or TLSMode.PASSTHROUGH).value
    for index, certificate in enumerate(tls.tls_certificates):
        yield from below(("tls_certificates", index), _key_pair(certificate, mode))
    if not tls.tls_certificates:
        yield from _key_pair(tls, mode)
    authorities = [tls.ca_certificates, tls.ca_cert_credential_name, *(certificate.ca_certificates for certificate in tls.tls_certificates)]
    if tls.mode is not TLSMode.SIMPLE and not any(authorities):
        yield Finding((), f'mode {mode} needs "caCertificates" (or credentialName)')


def _key_pair(certificate: ServerTLSSettings | TLSCertificate, mode: str) -> Findings:
    for name in ("server_certificate", "private_key"):
        if not getattr(certificate, name):
            yield Finding((), f'mode {mode} needs "{json_name(name)}" (or credentialName)')


def _revocation(tls: ServerTLSSettings) -> Findings:
    by_name = bool(tls.credential_name or tls.credential_names)
    if tls.ca_crl and by_name:  # where the credential is used, Istio says nothing
        yield Finding(
            ("ca_crl",),
            "is not used: the revocation list comes with the credential, not beside it",
            "warning" if tls.mode in _TERMINATING or not tls.credential_name else "error",
        )
    elif tls.ca_crl and tls.mode is TLSMode.SIMPLE:
        yield Finding(("ca_crl",), "mode SIMPLE checks no client certificates, so it needs no revocation list")


def _versions(tls: ServerTLSSettings) -> Findings:
    old = (TLSProtocol.TLSV1_0, TLSProtocol.TLSV1_1)
    if tls.min_protocol_version in old and not tls.cipher_suites:
        yield Finding(("min_protocol_version",), "TLS below 1.2 needs cipherSuites: none of the default ones allows it", "warning")
    yield from _ciphers(tls.cipher_suites)


def _ciphers(suites: Sequence[str]) -> Findings:
    for index, suite in enumerate(suites):
        if not is_cipher(suite):
            yield Finding(("cipher_suites", index), f'"{suite}" is no cipher suite that proxies know, and is left out', "warning")
    for finding in repeated("cipher_suites", suites):
        yield finding._replace(severity="warning")
