"""Which of several rules takes a request, as the Gateway API ranks them, whatever their order in the file."""

from typing import Any

from pymesh.api.models.virtualservice import HTTPRoute

from .matching import ANY_METHOD, ANY_SERVICE

_LAST = "9999"


def of_match(route: HTTPRoute) -> tuple[int, ...]:
    """A key for sorting routes of one match each: exact paths, longer prefixes, expressions; then method, headers, parameters.

    Where expressions stand is left to implementations. As Istio has it, only what takes every request comes after them.
    """
    (match,) = route.match
    uri = match.uri
    rank, length = 2, 0
    if uri is not None and uri.exact is not None:
        rank, length = 0, len(uri.exact)
    elif uri is not None and uri.prefix is not None:
        rank, length = 1, len(uri.prefix)
    elif uri is not None and uri.regex is not None:
        length = len(uri.regex)
    conditions = (match.method, match.headers, match.query_params)
    if uri is not None and uri.prefix == "/" and not any(conditions):
        rank = 3
    return (rank, -length, match.method is None, -len(match.headers), -len(match.query_params))


def of_call(route: HTTPRoute) -> tuple[int, ...]:
    """The same for routes of GRPCRoutes: longer services first, then longer methods, then more headers."""
    (match,) = route.match
    text = (match.uri.exact or match.uri.prefix or match.uri.regex or "") if match.uri else ""
    path = text.removeprefix("/")
    service = ANY_SERVICE if path.startswith(ANY_SERVICE) else path.partition("/")[0]
    method = path[len(service) + 1 :]
    return (-len(service.removeprefix(ANY_SERVICE)), -len(method.removeprefix(ANY_METHOD)), -len(match.headers))


def of_age(resource: Any) -> tuple[str, str]:
    """A key for sorting objects: the oldest first, then by `namespace/name`; one without a date is younger than all with one."""
    return (resource.created.isoformat() if resource.created else _LAST, f"{resource.namespace}/{resource.name}")
