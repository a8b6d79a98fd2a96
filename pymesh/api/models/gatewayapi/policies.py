"""ReferenceGrant and BackendTLSPolicy: what may be named from other namespaces, and TLS towards backends."""

import enum

from pydantic import Field

from ...types import Model
from .references import LocalObjectReference


class GrantFrom(Model):
    """Objects that may name others."""

    group: str
    kind: str
    namespace: str


class GrantTo(Model):
    """Objects that may be named: all of a kind, or one."""

    group: str
    kind: str
    name: str | None = None


class ReferenceGrant(Model):
    """The `spec` of a ReferenceGrant, which speaks for its own namespace."""

    from_: list[GrantFrom] = Field(alias="from")
    to: list[GrantTo]


class PolicyTarget(Model):
    """A Service (or ServiceEntry) of the policy's own namespace, or one of its ports by name."""

    group: str
    kind: str
    name: str
    section_name: str | None = None


class SubjectAltNameType(enum.Enum):
    """Kinds of name in a certificate."""

    HOSTNAME = "Hostname"
    URI = "URI"


class SubjectAltName(Model):
    """A name that a backend's certificate may have in place of the host name."""

    type: SubjectAltNameType
    hostname: str | None = None
    uri: str | None = None


class BackendTLSPolicyValidation(Model):
    """The server name that is sent, and what the backend's certificate is verified against."""

    ca_certificate_refs: list[LocalObjectReference] = []
    well_known_ca_certificates: str | None = Field(default=None, alias="wellKnownCACertificates")
    hostname: str
    subject_alt_names: list[SubjectAltName] = []


class BackendTLSPolicy(Model):
    """The `spec` of a BackendTLSPolicy."""

    target_refs: list[PolicyTarget]
    validation: BackendTLSPolicyValidation
    options: dict[str, str] = {}
