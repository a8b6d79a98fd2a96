"""Which services stay within a cluster: clients use the instances of their own only (MeshConfig's `serviceSettings`)."""

from collections.abc import Iterable
from typing import Any

from pymesh.api import hosts

_USUAL = (f"*.kube-system.svc.{hosts.DEFAULT_DOMAIN}", f"kubernetes.default.svc.{hosts.DEFAULT_DOMAIN}")
"""Those of Kubernetes itself, unless a setting says otherwise."""


class ClusterLocal:
    """Hosts by setting; the most specific one counts."""

    def __init__(self, settings: Iterable[Any]) -> None:
        stated = {host.lower(): bool(one.settings and one.settings.cluster_local) for one in settings for host in one.hosts}
        kept = [usual for usual in _USUAL if not any(_overrides(host, usual) for host, local in stated.items() if not local)]
        self._hosts = stated | dict.fromkeys(kept, True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterLocal) and self._hosts == other._hosts

    __hash__ = None  # type: ignore[assignment]  # as of other things that are compared by content, and change with it

    def covers(self, host: str) -> bool:
        exact = self._hosts.get(host)
        if exact is not None:
            return exact
        pattern = hosts.most_specific(host, [one for one in self._hosts if hosts.is_wildcard(one)])
        return pattern is not None and self._hosts[pattern]


def _overrides(host: str, usual: str) -> bool:
    """Whether a setting for a host takes the place of a usual one: it is the same, or is within it."""
    return host == usual or (hosts.is_wildcard(usual) and host.endswith(usual[1:]))
