"""Host names as rules write them: short names, wildcards, and the most specific of several."""

from collections.abc import Iterable

CLUSTER_DOMAIN = "cluster.local"


def fqdn(host: str, namespace: str) -> str:
    """A rule's host in full: one without a dot or wildcard is a service of the rule's namespace."""
    if "." in host or "*" in host or not host:
        return host
    return f"{host}.{namespace}.svc.{CLUSTER_DOMAIN}"


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is one that `pattern` stands for (`*.a.com` covers `b.a.com` and `*.b.a.com`)."""
    if not pattern.startswith("*"):
        return pattern == host
    return host.endswith(pattern[1:]) and len(host) >= len(pattern)


def overlap(one: str, other: str) -> str | None:
    """The narrower of two patterns of which one covers the other, or None."""
    if covers(one, other):
        return other
    return one if covers(other, one) else None


def most_specific(host: str, patterns: Iterable[str]) -> str | None:
    """The pattern that covers `host` with most of its characters: the exact one, then the longest wildcard."""
    found = [pattern for pattern in patterns if covers(pattern, host)]
    return max(found, key=lambda pattern: (not pattern.startswith("*"), len(pattern)), default=None)
