"""TLS settings on both sides: the mesh's own mutual TLS with certificates from SDS, and what DestinationRules and Gateways ask for."""

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from pymesh.api.tls_names import known_ciphers
from pymesh.xds import names, proto

from ..model.credential import AUTHORITY_SUFFIX as _AUTHORITIES
from ..model.mesh import Mesh, TlsSettings
from ..model.protocol import Protocol
from ..model.service import Port, Service
from .common import ADS, V3, extension

_TLS = proto.tls_common
_SOCKET = "envoy.transport_sockets.tls"
_SAN = _TLS.SubjectAltNameMatcher

_SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
"""Where proxies on Debian keep the public authorities: what SIMPLE verifies against when no file is named."""

_VERSIONS = {
    "TLSV1_0": _TLS.TlsParameters.TLSv1_0,
    "TLSV1_1": _TLS.TlsParameters.TLSv1_1,
    "TLSV1_2": _TLS.TlsParameters.TLSv1_2,
    "TLSV1_3": _TLS.TlsParameters.TLSv1_3,
}

_USUAL = TlsSettings()
_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)

HTTP_ALPN = ("istio-http/1.0", "istio-http/1.1")
HTTP2_ALPN = ("istio-h2",)
TCP_ALPN = ("istio-peer-exchange", "istio")
REQUEST_ALPN = ("istio-http/1.1", "istio")
"""What clients of HTTP offer that may yet be HTTP/2: no server agrees to it. `istio` is for servers that take the port for TCP."""
MESH_ALPN = (*TCP_ALPN, *HTTP_ALPN, *HTTP2_ALPN)
"""The protocol names by which a server tells the mesh's mutual TLS from an application's own TLS."""


OFFERED_ALPN = ("h2", "http/1.1")
"""What a server agrees to for HTTP."""


@functools.lru_cache(maxsize=8)
def server_socket(mesh: Mesh, sans: tuple[str, ...] = ()) -> Any:
    """The server's side of Istio's mutual TLS: any peer of the mesh's trust domains, or only those of one of the names.

    Istio's TCP chains accept `istio-peer-exchange` too; here no proxy speaks that exchange, so no chain agrees to it.
    """
    trusted = _names(sans) or [_san_prefix(f"spiffe://{domain}/") for domain in mesh.trust_domains]
    common = _mesh_credentials(trusted, OFFERED_ALPN)
    common.tls_params.tls_minimum_protocol_version = _VERSIONS[mesh.mutual_tls.lowest]
    common.tls_params.cipher_suites.extend(mesh.mutual_tls.ciphers or _CIPHERS)
    context = proto.tls.DownstreamTlsContext(common_tls_context=common, require_client_certificate=_true())
    return _socket(context)


def client_socket(
    mesh: Mesh, service: Service, port: Port, subset: str, sans: Sequence[str], server_name: str = "", *, http2: bool
) -> Any:
    """The client's side of Istio's mutual TLS towards a service, to which HTTP/2 is spoken or not."""
    common = _mesh_credentials([_exact(name) for name in sans], _client_alpn(port.protocol, http2=http2))
    sni = server_name or names.sni(service.host, port.number, subset)
    return _socket(proto.tls.UpstreamTlsContext(common_tls_context=common, sni=sni))


def provider_socket(sans: Sequence[str]) -> Any:
    """Mutual TLS for a client that gets certificates from the providers of its own bootstrap (proxyless gRPC)."""
    return _socket(proto.tls.UpstreamTlsContext(common_tls_context=_provided(sans)))


def provider_server_socket() -> Any:
    """The server's side of that: any peer whose certificate the provider's roots have signed, as servers refuse to match names."""
    return _socket(proto.tls.DownstreamTlsContext(common_tls_context=_provided(()), require_client_certificate=_true()))


def _provided(sans: Sequence[str]) -> Any:
    provider = proto.tls.CommonTlsContext.CertificateProviderInstance(instance_name="default", certificate_name=names.WORKLOAD_SECRET)
    roots = proto.tls.CommonTlsContext.CertificateProviderInstance(instance_name="default", certificate_name=names.ROOT_SECRET)
    untyped = [proto.string_matcher.StringMatcher(exact=name) for name in sans]  # gRPC reads only the matchers without a type
    return proto.tls.CommonTlsContext(
        tls_certificate_certificate_provider_instance=provider,
        combined_validation_context={
            "default_validation_context": _TLS.CertificateValidationContext(match_subject_alt_names=untyped),
            "validation_context_certificate_provider_instance": roots,
        },
    )


def mesh_identities(mesh: Mesh, service: Service) -> list[str]:
    """The SPIFFE ids that instances of a service may show, in every spelling of the trust domain."""
    accounts = service.service_accounts
    ids = {f"spiffe://{domain}/ns/{place}/sa/{account}" for domain in mesh.trust_domains for place, account in accounts}
    return sorted(ids | set(service.subject_alt_names))


def originate(settings: Any, mesh: Mesh, service: Service | None = None, credential: str = "", *, http2: bool) -> Any:
    """TLS that a DestinationRule asks for towards a server outside the mesh (SIMPLE, MUTUAL), to which HTTP/2 is spoken or not; without a
    service, towards any.

    Certificates are those of a `credential` by name, or the proxy's files.

    Without `sni` the service's host is sent, and without `subjectAltNames` it is what the certificate must name.
    """
    host = "" if service is None or service.host.startswith("*") else service.host
    declared = service.subject_alt_names if service is not None else ()
    sni = settings.sni or host
    common = proto.tls.CommonTlsContext(tls_params=_modern(mesh.other_tls), alpn_protocols=("h2",) if http2 else ())
    mutual = settings.mode.value == "MUTUAL"
    sans = settings.subject_alt_names or declared or ([sni] if sni else [])
    if credential:
        if mutual:
            common.tls_certificate_sds_secret_configs.append(_credential(credential))
        if not settings.insecure_skip_verify:
            common.combined_validation_context.CopyFrom(_verify_by(f"{credential}{_AUTHORITIES}", _names(sans)))
    else:
        if mutual and settings.client_certificate:
            common.tls_certificates.append(_pair(settings.client_certificate, settings.private_key))
        if not settings.insecure_skip_verify:
            common.validation_context.CopyFrom(_verify(settings.ca_certificates or _SYSTEM_ROOTS, settings.ca_crl, sans))
    return _socket(proto.tls.UpstreamTlsContext(common_tls_context=common, sni=sni))


def gateway_socket(settings: Any, mesh: Mesh, *, http: bool) -> Any:
    """What a Gateway's server, or a Sidecar's port, terminates TLS with."""
    mode = settings.mode.value
    if mode == "ISTIO_MUTUAL":
        return server_socket(mesh, tuple(settings.subject_alt_names))
    common = proto.tls.CommonTlsContext(tls_params=_parameters(settings, mesh))
    if http:
        common.alpn_protocols.extend(OFFERED_ALPN)
    _present(common, settings)
    if mode in ("MUTUAL", "OPTIONAL_MUTUAL"):
        _ask_for_clients(common, settings)
    required = proto.wrappers_pb2.BoolValue(value=mode == "MUTUAL")
    return _socket(proto.tls.DownstreamTlsContext(common_tls_context=common, require_client_certificate=required))


def _present(common: Any, settings: Any) -> None:
    """The server's own certificates: by name from this control plane, or files of the gateway."""
    credentials = settings.credential_names or filter(None, [settings.credential_name])
    common.tls_certificate_sds_secret_configs.extend(map(_credential, credentials))
    for one in settings.tls_certificates or ([settings] if settings.server_certificate else []):
        common.tls_certificates.append(_pair(one.server_certificate, one.private_key))


def _ask_for_clients(common: Any, settings: Any) -> None:
    """What client certificates have to fulfil; the authorities come from where the server's own certificate does."""
    own = settings.credential_names[0] if settings.credential_names else settings.credential_name
    named = settings.ca_cert_credential_name or (f"{own}{_AUTHORITIES}" if own else "")
    if named:
        common.combined_validation_context.CopyFrom(_verify_by(named, _names(settings.subject_alt_names)))
        validation = common.combined_validation_context.default_validation_context
    else:
        roots = settings.ca_certificates or next(one.ca_certificates for one in settings.tls_certificates if one.ca_certificates)
        common.validation_context.CopyFrom(_verify(roots, settings.ca_crl, settings.subject_alt_names))
        validation = common.validation_context
    validation.verify_certificate_spki.extend(settings.verify_certificate_spki)
    validation.verify_certificate_hash.extend(settings.verify_certificate_hash)


def plain_socket() -> Any:
    return proto.base.TransportSocket(**extension("envoy.transport_sockets.raw_buffer", proto.raw_buffer.RawBuffer()))


def announce(socket: Any, *, version: int) -> None:
    """Wrap a transport socket, so that a PROXY header comes first."""
    config = proto.proxy_protocol_config.ProxyProtocolConfig(version="V2" if version == 2 else "V1")
    wrapped = proto.upstream_proxy_protocol.ProxyProtocolUpstreamTransport(config=config, transport_socket=socket)
    socket.CopyFrom(proto.base.TransportSocket(**extension("envoy.transport_sockets.upstream_proxy_protocol", wrapped)))


def _client_alpn(protocol: Protocol, *, http2: bool) -> tuple[str, ...]:
    """What the client calls the protocol inside.

    Where the port declares its protocol the cluster can say it; elsewhere requests do (`alpn`), and what else comes is no HTTP.
    `istio-peer-exchange` is not offered, as no proxy here speaks that exchange.
    """
    if not protocol.is_http:
        return ("istio",)
    return ("istio-h2", "istio", "h2") if http2 else REQUEST_ALPN


def _mesh_credentials(sans: Iterable[Any], alpn: Iterable[str]) -> Any:
    validation = proto.tls.CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=_TLS.CertificateValidationContext(match_typed_subject_alt_names=sans),
        validation_context_sds_secret_config=_sds(names.ROOT_SECRET),
    )
    return proto.tls.CommonTlsContext(
        tls_params=_modern(),
        alpn_protocols=alpn,
        tls_certificate_sds_secret_configs=[_sds(names.WORKLOAD_SECRET)],
        combined_validation_context=validation,
    )


def _sds(name: str) -> Any:
    """A secret of the workload's own agent (the bootstrap's `sds-grpc`), never of this control plane: keys stay where they are made."""
    source = proto.config_source.ApiConfigSource(
        api_type=proto.config_source.ApiConfigSource.GRPC,
        transport_api_version=V3,
        grpc_services=[proto.grpc_service.GrpcService(envoy_grpc={"cluster_name": "sds-grpc"})],
    )
    config = proto.config_source.ConfigSource(api_config_source=source, resource_api_version=V3, initial_fetch_timeout=proto.duration(0))
    return proto.secret.SdsSecretConfig(name=name, sds_config=config)


def _modern(wanted: TlsSettings = _USUAL) -> Any:
    """TLS 1.2 to 1.3; Envoy's clients stop at 1.2 unless told."""
    return _TLS.TlsParameters(
        tls_minimum_protocol_version="TLSv1_2",
        tls_maximum_protocol_version="TLSv1_3",
        cipher_suites=wanted.ciphers,
        ecdh_curves=wanted.curves,
    )


def _parameters(settings: Any, mesh: Mesh) -> Any:
    lowest = settings.min_protocol_version.value if settings.min_protocol_version else "TLS_AUTO"
    highest = settings.max_protocol_version.value if settings.max_protocol_version else ""
    return _TLS.TlsParameters(
        tls_minimum_protocol_version=_VERSIONS[mesh.other_tls.lowest if lowest == "TLS_AUTO" else lowest],
        tls_maximum_protocol_version=_VERSIONS.get(highest, _TLS.TlsParameters.TLSv1_3),
        cipher_suites=known_ciphers(settings.cipher_suites) or mesh.other_tls.ciphers,
        ecdh_curves=settings.ecdh_curves or mesh.other_tls.curves,
    )


def _pair(chain: str, key: str) -> Any:
    return _TLS.TlsCertificate(certificate_chain=_file(chain), private_key=_file(key))


def _verify(roots: str, revoked: str | None, sans: Iterable[str]) -> Any:
    context = _TLS.CertificateValidationContext(trusted_ca=_file(roots), match_typed_subject_alt_names=_names(sans))
    if revoked:
        context.crl.CopyFrom(_file(revoked))
    return context


def _verify_by(secret: str, sans: Iterable[Any]) -> Any:
    """Authorities by name from this control plane, and names that a certificate must have one of."""
    return proto.tls.CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=_TLS.CertificateValidationContext(match_typed_subject_alt_names=sans),
        validation_context_sds_secret_config=_credential(secret),
    )


def _credential(name: str) -> Any:
    return proto.secret.SdsSecretConfig(name=names.credential(name), sds_config=ADS)


def _names(sans: Iterable[str]) -> list[Any]:
    return [_exact(name) for name in sans]


def _file(path: str) -> Any:
    return proto.base.DataSource(filename=path)


def _exact(name: str) -> Any:
    return _SAN(san_type=_san_type(name), matcher=proto.string_matcher.StringMatcher(exact=name))


def _san_prefix(prefix: str) -> Any:
    return _SAN(san_type=_SAN.URI, matcher=proto.string_matcher.StringMatcher(prefix=prefix))


def _san_type(name: str) -> Any:
    if "://" in name:
        return _SAN.URI
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _SAN.DNS
    return _SAN.IP_ADDRESS


def _socket(context: Any) -> Any:
    return proto.base.TransportSocket(**extension(_SOCKET, context))


def _true() -> Any:
    return proto.wrappers_pb2.BoolValue(value=True)
