"""A new certificate becomes the two secrets that Istio's agent would serve."""

from datetime import UTC, datetime

from pymesh_certs.workload import Bundle
from pymesh_proxy.identity import secrets_of

BUNDLE = Bundle(
    chain_pem=b"chain",
    key_pem=b"key",
    roots_pem=b"roots",
    obtained=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2026, 1, 2, tzinfo=UTC),
)


def test_key_pair_and_roots_are_two_secrets() -> None:
    pair, roots = secrets_of(BUNDLE)
    assert (pair.name, pair.chain, pair.key, pair.trusted_ca) == ("default", b"chain", b"key", b"")
    assert (roots.name, roots.trusted_ca, roots.chain) == ("ROOTCA", b"roots", b"")


def test_key_is_never_printed() -> None:
    assert "b'key'" not in repr(secrets_of(BUNDLE))
