"""/certs: the certificates in use, with the days they have left."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from ..tls.config import CertificateSource, ValidationSource
from .facts import Answer, Command, Facts, Query, as_json, chains_of


def certs(facts: Facts, query: Query) -> Answer:
    """Envoy's Certificates: SDS secrets, and what stands in listeners and clusters themselves."""
    found = {pair: _entry(*pair) for pair in [*_secrets(facts), *_inline(facts)]}  # a dict: many clusters share one pair
    return as_json({"certificates": list(found.values())})


def _secrets(facts: Facts) -> Iterator[tuple[bytes, bytes]]:
    for secret in facts.runtime.secrets:
        yield secret.trusted_ca, secret.chain


def _inline(facts: Facts) -> Iterator[tuple[bytes, bytes]]:
    for certificates, validation in _contexts(facts):
        for source in certificates:
            yield validation.trusted_ca, source.chain
        if not certificates:
            yield validation.trusted_ca, b""


def _contexts(facts: Facts) -> Iterator[tuple[tuple[CertificateSource, ...], ValidationSource]]:
    for listener in facts.runtime.listeners:
        for chain in chains_of(listener.config):
            if chain.tls is not None:
                yield chain.tls.certificates, chain.tls.validation
    for cluster in facts.runtime.clusters:
        for tls in (cluster.config.tls, *(match.tls for match in cluster.config.transport_matches)):
            if tls is not None:
                yield tls.certificates, tls.validation


def _entry(ca: bytes, chain: bytes) -> dict[str, Any]:
    return {"ca_cert": _details(ca), "cert_chain": _details(chain)}


def _details(pem: bytes) -> list[dict[str, Any]]:
    """One entry per certificate; a bundle that does not parse is said to be so, since this page is where one looks then."""
    if not pem:
        return []
    try:
        return [_certificate(certificate) for certificate in x509.load_pem_x509_certificates(pem)]
    except ValueError as error:
        return [{"path": f"<inline>: {error}"}]


def _certificate(certificate: x509.Certificate) -> dict[str, Any]:
    days = max(0, (certificate.not_valid_after_utc - datetime.now(UTC)).days)
    return {
        "path": "<inline>",
        "serial_number": f"{certificate.serial_number:x}",
        "subject_alt_names": _names(certificate),
        "days_until_expiration": str(days),
        "valid_from": _time(certificate.not_valid_before_utc),
        "expiration_time": _time(certificate.not_valid_after_utc),
    }


def _names(certificate: x509.Certificate) -> list[dict[str, str]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *({"uri": name} for name in found.get_values_for_type(x509.UniformResourceIdentifier)),
        *({"dns": name} for name in found.get_values_for_type(x509.DNSName)),
        *({"ip_address": str(name)} for name in found.get_values_for_type(x509.IPAddress)),
    ]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


COMMANDS = (Command(path="/certs", help="print certificates and how long they are valid", run=certs),)
