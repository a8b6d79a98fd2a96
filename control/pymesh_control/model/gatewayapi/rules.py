"""The rules of HTTPRoutes and GRPCRoutes, as routes of VirtualServices with one match each."""

from collections.abc import Iterable, Iterator
from typing import Any

from pymesh.api.models.virtualservice import (
    HTTPDirectResponse,
    HTTPMirrorPolicy,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
)

from ..sessions import SessionRoute
from ..support import Path
from . import matching
from .backends import Backends
from .conditions import Condition
from .filters import cors_of, headers_of, redirect_of, rewrite_of
from .sessions import sessions_of

_RETRIED = ("connect-failure", "refused-stream", "unavailable", "cancelled")
_ATTEMPTS = 2
_NO_BACKEND = {"HTTPRoute": HTTPDirectResponse(status=500), "GRPCRoute": HTTPDirectResponse(status=503)}
"""What answers where there is no backend; to calls of gRPC 503 is UNAVAILABLE."""


class Rules:
    """Turns the rules of one route; `faults` gathers what is wrong with their backends. `grants`: see Backends.destination."""

    def __init__(self, route: Any, backends: Backends, *, grants: bool) -> None:
        self.faults: list[Condition] = []
        self._route, self._backends, self._grants = route, backends, grants

    def made(self) -> Iterator[HTTPRoute]:
        """Every match of every rule, in order."""
        matches_of = matching.of_grpc if self._route.kind == "GRPCRoute" else matching.of_http
        for index, rule in enumerate(self._route.spec.rules):
            whole = self._rule(rule, index)
            for match in matches_of(rule.matches):
                yield whole.model_copy(update={"match": [match]})

    def _rule(self, rule: Any, index: int) -> HTTPRoute:
        redirect = redirect_of(rule.filters) if self._route.kind == "HTTPRoute" else None
        shares = [] if redirect else list(self._shares(rule.backend_refs, ("rules", index, "backendRefs")))
        mirrors = list(self._mirrors(rule.filters, ("rules", index, "filters")))
        of_http = self._of_http(rule) if self._route.kind == "HTTPRoute" else {}
        return SessionRoute.model_construct(
            name=rule.name or f"{self._route.namespace}.{self._route.name}.{index}",
            route=shares,
            redirect=redirect,
            direct_response=None if shares or redirect else _NO_BACKEND[self._route.kind],
            mirrors=mirrors,
            headers=headers_of(rule.filters),
            sessions=sessions_of(self._route, rule, index),
            **of_http,
        )

    def _of_http(self, rule: Any) -> dict[str, Any]:
        """What GRPCRoutes do not have."""
        retries, timeout = _times(rule)
        return {"rewrite": rewrite_of(rule.filters), "cors_policy": cors_of(rule.filters), "retries": retries, "timeout": timeout}

    def _shares(self, references: Iterable[Any], path: Path) -> Iterator[HTTPRouteDestination]:
        """The backends that get a share of the requests."""
        for index, reference in enumerate(references):
            destination = self._destination(reference, (*path, index))
            if reference.weight:
                yield HTTPRouteDestination(destination=destination, weight=reference.weight, headers=headers_of(reference.filters))

    def _mirrors(self, filters: Iterable[Any], path: Path) -> Iterator[HTTPMirrorPolicy]:
        for index, one in enumerate(filters):
            if one.request_mirror:
                destination = self._destination(one.request_mirror.backend_ref, (*path, index, "requestMirror", "backendRef"))
                if destination.port is not None:
                    yield HTTPMirrorPolicy(destination=destination, percentage=_share(one.request_mirror))

    def _destination(self, reference: Any, path: Path) -> Any:
        destination, fault = self._backends.destination(reference, self._route.kind, self._route.namespace, path, grants=self._grants)
        if fault is not None:
            self.faults.append(fault)
        return destination


def _times(rule: Any) -> tuple[HTTPRetry | None, float | None]:
    """Retries and the time of a whole request; a limit of each try is one of the whole where nothing is tried again."""
    whole = (rule.timeouts and rule.timeouts.request) or None
    each = (rule.timeouts and rule.timeouts.backend_request) or None
    if rule.retry is None:
        return None, each or whole
    retries = HTTPRetry.model_construct(
        attempts=rule.retry.attempts or _ATTEMPTS,
        per_try_timeout=each,
        retry_on=",".join((*_RETRIED, *map(str, rule.retry.codes))),
        backoff=rule.retry.backoff or None,
    )
    return retries, whole


def _share(mirror: Any) -> Percent | None:
    if mirror.fraction is not None:
        return Percent(value=100 * mirror.fraction.numerator / mirror.fraction.denominator)
    return None if mirror.percent is None else Percent(value=float(mirror.percent))
