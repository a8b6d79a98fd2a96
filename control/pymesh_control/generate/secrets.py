"""SDS: the credentials that a proxy's listeners name, for nobody but a proxy of the credential's own namespace, and those that
a Gateway of the Gateway API may name of another one (ReferenceGrant).

A proxy gets them only on a stream whose certificate says who it is; anyone may claim a namespace on the plaintext port.
"""

from collections.abc import Iterable
from typing import Any

from pymesh.xds import names, proto

from ..built import Built, pack
from ..model.credential import AUTHORITY_SUFFIX, Credential
from ..model.snapshot import Snapshot
from ..model.view import ProxyView


def secrets(snapshot: Snapshot, view: ProxyView, wanted: Iterable[str]) -> dict[str, Built]:
    """The secrets of a proxy by name; one that is not there, or not for it, is absent, and its listener waits."""
    if not view.is_authenticated:
        return {}
    made = ((name, _secret(snapshot, view, name)) for name in wanted)
    return {name: pack(message) for name, message in made if message is not None}


def _secret(snapshot: Snapshot, view: ProxyView, name: str) -> Any | None:
    place = names.parse_credential(name)
    if place is None:
        return None
    namespace, title = place[0] or view.namespace, place[1]
    foreign = namespace != view.namespace
    if foreign and not {(view.namespace, namespace, title), ("", namespace, title)} & snapshot.shared_credentials:
        return None
    credentials = snapshot.credentials
    whole = credentials.get((namespace, title))
    if whole is not None and whole.has_pair and not (foreign and title.endswith(AUTHORITY_SUFFIX)):
        return _pair(name, whole)
    if title.endswith(AUTHORITY_SUFFIX):
        authority = whole or credentials.get((namespace, title.removesuffix(AUTHORITY_SUFFIX)))
        return _authorities(name, authority) if authority is not None and authority.roots else None
    return None


def _pair(name: str, credential: Credential) -> Any:
    certificate = proto.tls_common.TlsCertificate(
        certificate_chain={"inline_bytes": credential.chain}, private_key={"inline_bytes": credential.key}
    )  # fmt: skip
    return proto.secret.Secret(name=name, tls_certificate=certificate)


def _authorities(name: str, credential: Credential) -> Any:
    context = proto.tls_common.CertificateValidationContext(trusted_ca={"inline_bytes": credential.roots})
    if credential.revoked:
        context.crl.inline_bytes = credential.revoked
    return proto.secret.Secret(name=name, validation_context=context)
