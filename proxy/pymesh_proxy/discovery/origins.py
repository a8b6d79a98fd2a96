"""Whether what a resource refers to can ever come: a reference into nowhere is refused, not waited for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..errors import ConfigError, Problem
from .references import Reference
from .source import GrpcSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """The places that this process can fetch from."""

    ads: bool = True
    """There is an ADS stream."""
    own_secrets: frozenset[str] = frozenset()
    """Secrets that the process holds: static ones, and its identity."""
    own_services: frozenset[str] = frozenset()
    """Clusters that mean the process itself (Istio's `sds-grpc`), when it holds its identity."""
    check_service: Callable[[GrpcSource, str], None] = lambda source, path: None
    """Raises ConfigError for a service that cannot be reached as configured."""

    def is_own(self, reference: Reference) -> bool:
        """Whether the process itself provides it."""
        service = reference.fetch.service
        return service.cluster in self.own_services if service is not None else not reference.fetch.ads

    def check(self, references: Iterable[Reference], path: str = "") -> list[Problem]:
        """What can never come, by reference; `path` is that of the resource that refers."""
        return [problem for one in references for problem in self._check(one, path)]

    def _check(self, reference: Reference, path: str) -> Iterable[Problem]:
        name, fetch = reference.need.name, reference.fetch
        if fetch.ads:
            return [] if self.ads else [Problem(path, f"{name!r} is to come over ADS, and there is no ads_config")]
        if self.is_own(reference):
            return [] if name in self.own_secrets else [Problem(path, f"there is no secret {name!r}, and no source to fetch it from")]
        assert fetch.service is not None
        try:
            self.check_service(fetch.service, path)
        except ConfigError as error:
            return [Problem(problem.path, f"secret {name!r}: {problem.message}") for problem in error.problems]
        return []
