"""Whose certificate is this? The X509-SVID rules that ordinary path validation does not check."""

from cryptography import x509

from pymesh import identity

from .errors import AuthenticationFailed


def identity_of(certificate: x509.Certificate) -> identity.SpiffeId:
    """The SPIFFE id of a leaf whose chain was already verified; raises AuthenticationFailed (X509-SVID, sections 2, 4 and 5.2)."""
    try:
        extensions = certificate.extensions
    except ValueError as error:
        raise AuthenticationFailed(f"the certificate's extensions do not parse: {error}") from None
    if _signs(extensions):
        raise AuthenticationFailed("the certificate may sign others, so it is no leaf")
    uris = _uris(extensions)
    if len(uris) != 1:
        raise AuthenticationFailed(f"the certificate has {len(uris)} URI names, not the one of an X509-SVID")
    try:
        spiffe = identity.parse(uris[0])
    except identity.InvalidSpiffeId as error:
        raise AuthenticationFailed(f"the certificate's URI name is no SPIFFE id: {error}") from None
    if not spiffe.path:
        raise AuthenticationFailed("the certificate names a trust domain, not a workload")
    return spiffe


def _uris(extensions: x509.Extensions) -> list[str]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _signs(extensions: x509.Extensions) -> bool:
    for extension in extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            return True
        if isinstance(extension.value, x509.KeyUsage) and (extension.value.key_cert_sign or extension.value.crl_sign):
            return True
    return False
