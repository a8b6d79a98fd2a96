"""ReferenceGrant and BackendTLSPolicy."""

import re
from collections.abc import Sequence

from ...models.gatewayapi.policies import (
    BackendTLSPolicy,
    BackendTLSPolicyValidation,
    PolicyTarget,
    ReferenceGrant,
    SubjectAltName,
    SubjectAltNameType,
)
from .. import words
from ..finding import Finding, Findings, below, verdict
from . import names
from .references import hostname, limit

_MOST = 16
_MOST_AUTHORITIES = 8
_MOST_NAMES = 5
_SYSTEM = "System"
_URI = re.compile(r"[^:/?#]+:(//[^/?#]*)?[^?#]*(\?[^#]*)?(#.*)?")


def check_grant(spec: ReferenceGrant, _namespace: str) -> Findings:
    """Everything wrong with one ReferenceGrant."""
    yield from limit("from", spec.from_, _MOST, least=1)
    yield from limit("to", spec.to, _MOST, least=1)
    for index, other in enumerate(spec.to):
        if other.name is not None:
            yield from verdict(("to", index, "name"), words.object_name(other.name))


def check_tls(spec: BackendTLSPolicy, _namespace: str) -> Findings:
    """Everything wrong with one BackendTLSPolicy."""
    yield from limit("target_refs", spec.target_refs, _MOST, least=1)
    yield from below("target_refs", _targets(spec.target_refs))
    yield from below("validation", _validation(spec.validation))
    yield from below("options", names.annotations(spec.options, _MOST))


def _targets(targets: Sequence[PolicyTarget]) -> Findings:
    seen: dict[tuple[str, str, str], list[str]] = {}
    for index, one in enumerate(targets):
        yield from verdict((index, "name"), words.object_name(one.name))
        if one.section_name is not None:
            yield from verdict((index, "section_name"), words.object_name(one.section_name))
        sections = seen.setdefault((one.group, one.kind, one.name), [])
        section = one.section_name or ""
        if section in sections:
            yield Finding((index,), f'"{one.name}" is listed twice; sectionName must differ')
        elif sections and ("" in sections or not section):
            yield Finding((index,), f'every reference to "{one.name}" needs sectionName, as there are several')
        sections.append(section)


def _validation(validation: BackendTLSPolicyValidation) -> Findings:
    yield from limit("ca_certificate_refs", validation.ca_certificate_refs, _MOST_AUTHORITIES)
    if validation.ca_certificate_refs and validation.well_known_ca_certificates:
        yield Finding(("wellKnownCACertificates",), '"caCertificateRefs" and "wellKnownCACertificates" cannot be set together')
    elif not validation.ca_certificate_refs and not validation.well_known_ca_certificates:
        yield Finding((), 'needs "caCertificateRefs" or "wellKnownCACertificates"')
    if validation.well_known_ca_certificates not in (None, "", _SYSTEM):
        yield Finding(("wellKnownCACertificates",), f'the only well known authorities are "{_SYSTEM}"')
    yield from verdict("hostname", hostname(validation.hostname, wildcard=False))
    yield from limit("subject_alt_names", validation.subject_alt_names, _MOST_NAMES)
    for index, name in enumerate(validation.subject_alt_names):
        yield from below(("subject_alt_names", index), _name(name))


def _name(name: SubjectAltName) -> Findings:
    values = {SubjectAltNameType.HOSTNAME: ("hostname", name.hostname), SubjectAltNameType.URI: ("uri", name.uri)}
    for kind, (field, value) in values.items():
        if kind is name.type and not value:
            yield Finding((), f'a name of type {kind.value} needs "{field}"')
        elif kind is not name.type and value:
            yield Finding((field,), f"has no meaning in a name of type {name.type.value}")
    if name.uri and name.type is SubjectAltNameType.URI and not _URI.fullmatch(name.uri):
        yield Finding(("uri",), f'"{name.uri}" is not a URI')
    if name.hostname and name.type is SubjectAltNameType.HOSTNAME:
        yield from verdict("hostname", hostname(name.hostname))
