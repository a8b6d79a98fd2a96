"""RequestAuthentication: tokens that can be found, checked and passed on."""

import json
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from ..models.requestauthentication import ClaimToHeader, JWTRule, RequestAuthentication
from ..tree import Path
from . import attachment, words
from .finding import Finding, Findings, below, verdict

_HEADER = re.compile(r"[-_A-Za-z0-9]+")
_MOST_CLAIMS = 64
_NEEDED = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "oct": ("k",)}
"""What a JSON web key of a `kty` has to have."""
_PRIVATE = ("d", "k", "p", "q", "dp", "dq", "qi")
"""Members of a JSON web key that only its owner should know."""


def check(spec: RequestAuthentication, namespace: str) -> Findings:
    """Everything wrong with one RequestAuthentication."""
    yield from attachment.check(spec.selector, spec.target_refs, namespace, single=spec.target_ref)
    for index, rule in enumerate(spec.jwt_rules):
        yield from below(("jwt_rules", index), _rule(rule))


def _rule(rule: JWTRule) -> Findings:
    if not rule.issuer and not rule.jwks_uri:
        yield Finding((), "needs an issuer or a jwksUri")
    yield from _key_source(rule)
    for name in ("audiences", "from_params", "from_cookies", "space_delimited_claims"):
        yield from _no_empty(name, getattr(rule, name))
    for index, header in enumerate(rule.from_headers):
        yield from _carrier(("from_headers", index, "name"), header.name)
    for index, claim in enumerate(rule.output_claim_to_headers):
        yield from below(("output_claim_to_headers", index), _passed_on(claim))
    if rule.output_payload_to_header:
        yield from _carrier(("output_payload_to_header",), rule.output_payload_to_header)
    if len(rule.space_delimited_claims) > _MOST_CLAIMS:
        yield Finding(("space_delimited_claims",), f"at most {_MOST_CLAIMS} claims")


def _carrier(path: Path, name: str) -> Findings:
    """A header that carries a token or what it says: what no header can be called, none is, and Istio takes it all the same."""
    if not name:
        yield Finding(path, "must not be empty")
    else:
        yield from verdict(path, words.header_name(name), "warning")


def _key_source(rule: JWTRule) -> Findings:
    if rule.jwks_uri is not None and (words.scheme_of(rule.jwks_uri) not in ("http", "https") or not urlsplit(rule.jwks_uri).hostname):
        yield Finding(("jwks_uri",), f'"{rule.jwks_uri}" is not an http or https URL')
    if rule.jwks:
        yield from below("jwks", _keys(rule.jwks))


def _keys(text: str) -> Findings:
    try:
        found = json.loads(text)
        keys = found.get("keys", [found])  # one key is a set of its own
    except (ValueError, AttributeError, RecursionError):
        yield Finding((), "is not a JSON web key set (an object with keys)")
        return
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        yield Finding((), "keys must be a list of JSON web keys")
    elif any(not all(isinstance(key.get(name), str) for name in _NEEDED.get(str(key.get("kty")), ("",))) for key in keys):
        yield Finding((), "holds a key of no known kty (RSA, EC, OKP, oct), or one that is not whole")
    elif any(name in key for key in keys for name in _PRIVATE):
        yield Finding((), "holds a private key, which whoever reads this configuration learns", "warning")


def _no_empty(name: str, values: Sequence[str]) -> Findings:
    for index, value in enumerate(values):
        if not value:
            yield Finding((name, index), "must not be empty")


def _passed_on(claim: ClaimToHeader) -> Findings:
    if not claim.claim:
        yield Finding(("claim",), "must not be empty")
    if not _HEADER.fullmatch(claim.header):
        yield Finding(("header",), f'"{claim.header}" is not a header name of letters, digits, "-" and "_"')
