"""SDS secrets: a key pair, or what to verify a peer with."""

from typing import Any

from ..tls.config import SecretValue
from . import tls
from .fields import Reader, compiled


def compile_secret(message: Any) -> SecretValue:
    """A Secret resource; raises ConfigError with every problem."""
    return compiled(message, _secret)


def _secret(reader: Reader) -> SecretValue:
    reader.only("name", "tls_certificate", "validation_context")
    name = reader.message.name
    certificate = reader.child("tls_certificate")
    if certificate is not None:
        pair = tls.key_pair(certificate)
        return SecretValue(name=name, chain=pair.chain, key=pair.key)
    context = reader.child("validation_context")
    if context is None:
        reader.refuse("", "a secret is a tls_certificate or a validation_context")
        return SecretValue(name=name)
    for field in ("verify_certificate_spki", "verify_certificate_hash"):
        if context.has(field):
            context.refuse(field, "pins belong to the context that names the secret, not into the secret")
    source = tls.validation(context)
    return SecretValue(name=name, trusted_ca=source.trusted_ca, crl=source.crl, sans=source.sans)
