"""Host names in Istio's sense: short names, wildcards, and which of several patterns speaks for a host.

Only a leading `*` is a wildcard and it stands for any text: `*.foo.com` is every name that ends in `.foo.com` (so not `foo.com`).
"""

from collections.abc import Iterable

DEFAULT_DOMAIN = "cluster.local"
MESH_GATEWAY = "mesh"


def expand(host: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> str:
    """The full name of a host in a rule of `namespace`; what has a dot, a wildcard or a colon is taken as it stands, as Istio does."""
    return host if any(sign in host for sign in ".*:") else f"{host}.{namespace}.svc.{domain}"


def expand_gateway(name: str, namespace: str) -> str:
    """`namespace/name` of a gateway that a rule of `namespace` names; `mesh` stays."""
    if name == MESH_GATEWAY:
        return name
    before, slash, after = name.partition("/")
    if slash:
        return f"{namespace if before == '.' else before}/{after}"
    short, dot, rest = name.partition(".")
    return f"{rest.partition('.')[0]}/{short}" if dot else f"{namespace}/{name}"


def is_wildcard(pattern: str) -> bool:
    """Whether a pattern stands for more than one host."""
    return pattern.startswith("*")


def matches(one: str, other: str) -> bool:
    """Whether some host belongs to both patterns; symmetric."""
    return subset_of(one, other) or subset_of(other, one)


def subset_of(inner: str, outer: str) -> bool:
    """Whether every host of `inner` belongs to `outer`."""
    if not is_wildcard(outer):
        return inner == outer
    return inner.removeprefix("*").endswith(outer[1:])


def narrower(one: str, other: str) -> str | None:
    """The narrower of two patterns of which one covers the other, or None."""
    if subset_of(other, one):
        return other
    return one if subset_of(one, other) else None


def most_specific(host: str, patterns: Iterable[str]) -> str | None:
    """The pattern that speaks for a host: the equal one, else the longest wildcard that covers it."""
    covering = [pattern for pattern in patterns if subset_of(host, pattern)]
    return max(covering, key=lambda pattern: (pattern == host, len(pattern)), default=None)
