"""TLS towards a destination: where certificates come from."""

from ..models.destinationrule import ClientTLSSettings, TLSMode
from .finding import Finding, Findings

_FILES = ("client_certificate", "private_key", "ca_certificates", "ca_crl")


def check(tls: ClientTLSSettings) -> Findings:
    """Everything wrong with a `tls`."""
    if tls.credential_name:
        for name in _FILES:
            if getattr(tls, name):
                yield Finding((name,), "comes with the credential of credentialName, so it cannot be set beside it")
    elif tls.mode is TLSMode.MUTUAL:
        for name, shown in (("client_certificate", "clientCertificate"), ("private_key", "privateKey")):
            if not getattr(tls, name):
                yield Finding((), f'mode MUTUAL needs "{shown}" (or credentialName)')
    if tls.insecure_skip_verify:
        for name in ("ca_certificates", "subject_alt_names"):
            if getattr(tls, name):
                yield Finding((name,), "has no meaning with insecureSkipVerify")
