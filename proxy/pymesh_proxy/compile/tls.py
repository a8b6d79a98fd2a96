"""Transport sockets: TLS contexts of both sides, or plain bytes."""

import difflib

from ..tls.config import CertificateSource, DownstreamTls, TlsParameters, UpstreamTls, ValidationSource
from ..tls.matcher import SanMatcher, covers
from ..upstream.config import ProxyHeader
from . import proxy_protocol
from .fields import Reader
from .sources import check_delivery, data
from .strings import string_test

_RAW = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_DOWNSTREAM = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_UPSTREAM = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

_PROXIED = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"

_VERSIONS = {"TLSv1_2": "TLSv1_2", "TLSv1_3": "TLSv1_3"}
_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA",
)  # fmt: skip
"""The suites of TLS 1.2 that Envoy knows and OpenSSL has; those of 1.3 cannot be chosen in either."""

_CURVES = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1", "X25519": "X25519"}
_ANY_KIND = ("DNS", "URI", "EMAIL", "IP_ADDRESS")


def downstream_tls(socket: Reader | None) -> DownstreamTls | None:
    """A filter chain's transport socket; None is plaintext."""
    if socket is None:
        return None
    socket.only("name", "typed_config")
    return socket.extend({_RAW: _plaintext, _DOWNSTREAM: _downstream})


def upstream_tls(socket: Reader | None) -> UpstreamTls | None:
    """A cluster's transport socket; None is plaintext."""
    if socket is None:
        return None
    socket.only("name", "typed_config")
    return socket.extend({_RAW: _plaintext, _UPSTREAM: _upstream, _PROXIED: _inner})


def proxy_header(socket: Reader | None) -> ProxyHeader | None:
    """The PROXY header that a cluster's transport socket writes; None is none."""
    if socket is None or not socket.message.typed_config.type_url.endswith(f"/{_PROXIED}"):
        return None
    config = socket.extension()
    if config is None:
        return None
    inner = Reader(config.message.config, config.at("config"), config.problems)
    return proxy_protocol.header(inner)


def _inner(reader: Reader) -> UpstreamTls | None:
    """The transport socket that speaks after the PROXY header."""
    reader.only("config", "transport_socket", at_default={"allow_unspecified_address": False, "tlv_as_pool_key": False})
    return upstream_tls(reader.child("transport_socket"))


def _plaintext(reader: Reader) -> None:
    reader.only()


def _downstream(reader: Reader) -> DownstreamTls:
    reader.only(
        "common_tls_context",
        "require_client_certificate",
        "require_sni",
        "prefer_client_ciphers",
        "full_scan_certs_on_sni_mismatch",
        "disable_stateless_session_resumption",
        at_default={"ocsp_staple_policy": 0, "disable_stateful_session_resumption": False},
    )
    common = _common(reader)
    certificates = _certificates(common)
    if not certificates:
        common.refuse("tls_certificates", "a server needs a certificate: give tls_certificates or tls_certificate_sds_secret_configs")
    require = reader.wrapped("require_client_certificate", False)
    validation = _validation(common)
    if require and not validation.verifies:
        common.refuse("validation_context", "require_client_certificate needs a trusted_ca to verify clients with")
    return DownstreamTls(
        certificates=certificates,
        validation=validation,
        require_client_certificate=require,
        alpn=tuple(common.message.alpn_protocols),
        parameters=_parameters(common, default_maximum="TLSv1_3"),
        require_sni=reader.wrapped("require_sni", False),
        prefer_client_ciphers=reader.message.prefer_client_ciphers,
        scan_all=reader.wrapped("full_scan_certs_on_sni_mismatch", False),
        tickets=not reader.message.disable_stateless_session_resumption,
    )


def _upstream(reader: Reader) -> UpstreamTls:
    reader.only(
        "common_tls_context",
        "sni",
        "auto_host_sni",
        "max_session_keys",
        at_default={"enforce_rsa_key_usage": True},
    )
    common = _common(reader)
    certificates = _certificates(common)
    if len(certificates) > 1:
        common.refuse("tls_certificates", "a client has one certificate")
    return UpstreamTls(
        certificates=certificates,
        validation=_validation(common),
        sni=reader.message.sni,
        auto_host_sni=reader.message.auto_host_sni,
        alpn=tuple(common.message.alpn_protocols),
        parameters=_parameters(common, default_maximum="TLSv1_2"),
        sessions=reader.wrapped("max_session_keys", 1),
    )


def _common(reader: Reader) -> Reader:
    common = Reader(reader.message.common_tls_context, reader.at("common_tls_context"), reader.problems)
    common.only(
        "tls_params",
        "tls_certificates",
        "tls_certificate_sds_secret_configs",
        "validation_context",
        "validation_context_sds_secret_config",
        "combined_validation_context",
        "alpn_protocols",
    )
    return common


def _parameters(common: Reader, default_maximum: str) -> TlsParameters:
    reader = common.child("tls_params")
    if reader is None:
        return TlsParameters(maximum=default_maximum)
    reader.only("tls_minimum_protocol_version", "tls_maximum_protocol_version", "cipher_suites", "ecdh_curves")
    minimum = _version(reader, "tls_minimum_protocol_version", "TLSv1_2")
    maximum = _version(reader, "tls_maximum_protocol_version", default_maximum)
    if minimum > maximum:
        reader.refuse("tls_minimum_protocol_version", f"{minimum} is above the maximum, {maximum}")
    return TlsParameters(minimum=minimum, maximum=maximum, ciphers=_ciphers(reader), curve=_curve(reader))


def _ciphers(reader: Reader) -> tuple[str, ...]:
    """Envoy's list in order; suites in brackets, which it treats as equals, are taken in theirs."""
    chosen: list[str] = []
    for index, entry in enumerate(reader.message.cipher_suites):
        for suite in entry.removeprefix("[").removesuffix("]").split("|"):
            if suite in _SUITES:
                chosen.append(suite)
            else:
                near = difflib.get_close_matches(suite, _SUITES, 1)
                reader.refuse(f"cipher_suites[{index}]", f"there is no suite {suite!r}{f'; did you mean {near[0]}?' if near else ''}")
    return tuple(chosen)


def _curve(reader: Reader) -> str:
    names = list(reader.message.ecdh_curves)
    if not names:
        return ""
    if len(names) > 1 or names[0] not in _CURVES:
        reader.refuse("ecdh_curves", f"one of {', '.join(_CURVES)} can be chosen; without this field OpenSSL offers its own list")
        return ""
    return _CURVES[names[0]]


def _version(reader: Reader, name: str, default: str) -> str:
    chosen = reader.choice(name)
    if chosen == "TLS_AUTO":
        return default
    if chosen not in _VERSIONS:
        reader.refuse(name, f"{chosen} is not offered; TLSv1_2 and TLSv1_3 are")
    return _VERSIONS.get(chosen, default)


def _certificates(common: Reader) -> tuple[CertificateSource, ...]:
    named = [CertificateSource(secret=secret_name(item)) for item in common.items("tls_certificate_sds_secret_configs")]
    return (*map(key_pair, common.items("tls_certificates")), *named)


def secret_name(reader: Reader) -> str:
    """The name that an SdsSecretConfig asks for; without `sds_config` it is one of the bootstrap's own secrets, as in Envoy."""
    reader.only("name", "sds_config")
    check_delivery(reader.child("sds_config"), agent=True)
    return str(reader.message.name)


def key_pair(reader: Reader) -> CertificateSource:
    """A TlsCertificate given as content."""
    reader.only("certificate_chain", "private_key")
    for name in ("certificate_chain", "private_key"):
        if not reader.has(name):
            reader.refuse(name, "a key pair needs both certificate_chain and private_key")
    return CertificateSource(chain=data(reader.child("certificate_chain")), key=data(reader.child("private_key")))


def _validation(common: Reader) -> ValidationSource:
    match common.which("validation_context_type"):
        case "validation_context" as name:
            return validation(Reader(common.message.validation_context, common.at(name), common.problems))
        case "validation_context_sds_secret_config" as name:
            config = Reader(common.message.validation_context_sds_secret_config, common.at(name), common.problems)
            return ValidationSource(secret=secret_name(config))
        case "combined_validation_context" as name:
            return _combined(Reader(common.message.combined_validation_context, common.at(name), common.problems))
    return ValidationSource()


def _combined(reader: Reader) -> ValidationSource:
    """The default context with what the secret brings laid over it when a TLS context is made."""
    reader.only("default_validation_context", "validation_context_sds_secret_config")
    default = reader.child("default_validation_context")
    config = reader.child("validation_context_sds_secret_config")
    base = validation(default, anchored=True) if default else ValidationSource()
    name = secret_name(config) if config else ""
    return ValidationSource(secret=name, trusted_ca=base.trusted_ca, crl=base.crl, sans=base.sans, spki=base.spki, hashes=base.hashes)


def validation(reader: Reader, *, anchored: bool = False) -> ValidationSource:
    """A CertificateValidationContext; `anchored` when a secret brings the trusted_ca."""
    reader.only(
        "trusted_ca",
        "crl",
        "match_typed_subject_alt_names",
        "match_subject_alt_names",
        "verify_certificate_spki",
        "verify_certificate_hash",
        at_default={"trust_chain_verification": 0, "max_verify_depth": 100},
    )
    source = ValidationSource(
        trusted_ca=data(reader.child("trusted_ca")),
        crl=data(reader.child("crl")),
        sans=(*_typed_sans(reader), *_untyped_sans(reader)),
        spki=tuple(reader.message.verify_certificate_spki),
        hashes=tuple(value.replace(":", "").lower() for value in reader.message.verify_certificate_hash),
    )
    if source.sans and not (anchored or reader.has("trusted_ca")):
        reader.refuse("match_typed_subject_alt_names", "names prove nothing without a trusted_ca that vouches for them")
    return source


def _typed_sans(reader: Reader) -> list[SanMatcher]:
    matchers = []
    for item in reader.items("match_typed_subject_alt_names"):
        item.only("san_type", "matcher")
        kind = item.choice("san_type")
        if kind not in _ANY_KIND:
            item.refuse("san_type", f"{kind or 'this type'} is not supported; {', '.join(_ANY_KIND)} are")
        matcher = item.child("matcher")
        if matcher is not None:
            matchers.append(_san(kind, matcher))
    return matchers


def _untyped_sans(reader: Reader) -> list[SanMatcher]:
    """The older field names no type: its matchers look at names of every type."""
    return [_san(kind, matcher) for matcher in reader.items("match_subject_alt_names") for kind in _ANY_KIND]


def _san(kind: str, reader: Reader) -> SanMatcher:
    how = reader.which("match_pattern")
    text = reader.message.safe_regex.regex if how == "safe_regex" else str(getattr(reader.message, how, ""))
    matches = string_test(reader)
    if kind == "DNS" and how == "exact":
        return SanMatcher(kind=kind, text=text, test=lambda san: matches(san.encode()) or covers(san, text))
    return SanMatcher(kind=kind, text=text if how == "exact" else f"{how} {text}", test=lambda san: matches(san.encode()))
