"""TLS towards a destination: where certificates come from."""

from ..models.destinationrule import ClientTLSSettings, TLSMode
from .finding import Finding, Findings

_FILES = ("client_certificate", "private_key", "ca_certificates", "ca_crl")
_OF_NAME = (TLSMode.SIMPLE, TLSMode.MUTUAL)
"""Modes in which a credential may be given by name."""
_CONFIG_MAP = "configmap://"


def check(tls: ClientTLSSettings, namespace: str) -> Findings:
    """Everything wrong with a `tls` of a rule in `namespace`."""
    if tls.credential_name and tls.mode in _OF_NAME:
        for name in _FILES:
            if getattr(tls, name):
                yield Finding((name,), "comes with the credential of credentialName, so it cannot be set beside it")
    elif tls.mode is TLSMode.MUTUAL:
        for name, shown in (("client_certificate", "clientCertificate"), ("private_key", "privateKey")):
            if not getattr(tls, name):
                yield Finding((), f'mode MUTUAL needs "{shown}" (or credentialName)')
    yield from _unverified(tls)
    yield from _config_map(tls.credential_name or "", namespace)


def _unverified(tls: ClientTLSSettings) -> Findings:
    """Nothing to verify by, where nothing is verified; a MUTUAL credential is more than its authorities."""
    if not tls.insecure_skip_verify or tls.mode not in _OF_NAME:
        return
    authorities = ("ca_certificates", "credential_name") if tls.mode is TLSMode.SIMPLE else ("ca_certificates",)
    for name in (*authorities, "subject_alt_names"):
        if getattr(tls, name):
            yield Finding((name,), "has no meaning with insecureSkipVerify")


def _config_map(name: str, namespace: str) -> Findings:
    """`configmap://NAME` or `configmap://NAMESPACE/NAME`, of the rule's own namespace."""
    if not name.startswith(_CONFIG_MAP):
        return
    place, _, short = name.removeprefix(_CONFIG_MAP).rpartition("/")
    if not short or "/" in place:
        yield Finding(("credential_name",), f'"{name}" must be {_CONFIG_MAP}NAME')
    elif place and place != namespace:
        yield Finding(("credential_name",), f'"{name}" is of another namespace than the rule')
