"""The certificates in a secret of a dump: which they are, and whether they are valid now."""

import base64
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MEMBERS = (
    (("tls_certificate", "certificate_chain"), "Cert Chain"),
    (("validation_context", "trusted_ca"), "CA"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a table tells of one certificate."""

    kind: str
    cells: list[str]
    """Valid or not, serial number, end, beginning, trust domain."""


def facts(secret: dict[str, Any]) -> Iterator[Facts]:
    """Of every certificate in a secret; one line without any where it holds none that can be read."""
    if not any(member in secret for (member, _), _ in _MEMBERS):
        yield Facts("", ["", "", "", "", ""])
    for path, kind in _MEMBERS:
        member: Any = secret
        for step in path:
            member = member.get(step, {})
        if member:
            found = _PEM.findall(_content(member))
            for pem in found:
                yield Facts(kind, _cells(pem))
            if not found:
                yield Facts(kind, ["", "", "", "", ""])


def _content(source: dict[str, Any]) -> bytes:
    if "inline_string" in source:
        return str(source["inline_string"]).encode()
    return base64.b64decode(source.get("inline_bytes", ""))


def _cells(pem: bytes) -> list[str]:
    from cryptography import x509  # here, as other commands should not wait for it

    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return ["false", "", "", "", ""]
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    valid = begin <= datetime.datetime.now(datetime.UTC) <= end
    return [str(valid).lower(), f"{certificate.serial_number:x}", _moment(end), _moment(begin), _trust_domain(certificate)]


def _trust_domain(certificate: Any) -> str:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    ids = names.get_values_for_type(x509.UniformResourceIdentifier)
    return next((one.removeprefix("spiffe://").partition("/")[0] for one in ids if one.startswith("spiffe://")), "")


def _moment(when: datetime.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
