"""Conditions on requests and calls, as those of VirtualServices."""

import re
from collections.abc import Iterable
from typing import Any

from pymesh.api.models.virtualservice import HTTPMatchRequest
from pymesh.api.types import StringMatch

ANY = StringMatch(prefix="/")
"""Every path."""

ANY_SERVICE = "[^/]+"
ANY_METHOD = ".+"


def of_http(matches: Iterable[Any]) -> list[HTTPMatchRequest]:
    """The matches of an HTTPRoute's rule; none means one that takes everything."""
    found = [
        HTTPMatchRequest(
            uri=_path(one.path),
            method=StringMatch(exact=one.method.value) if one.method else None,
            headers={name.lower(): value for name, value in reversed([(each.name, _value(each)) for each in one.headers])},
            query_params={each.name: _value(each) for each in reversed(one.query_params)},
        )
        for one in matches
    ]
    return found or [HTTPMatchRequest(uri=ANY)]


def of_grpc(matches: Iterable[Any]) -> list[HTTPMatchRequest]:
    """The matches of a GRPCRoute's rule: a method is a path."""
    found = [
        HTTPMatchRequest(
            uri=_method(one.method) if one.method else ANY,
            headers={name.lower(): value for name, value in reversed([(each.name, _value(each)) for each in one.headers])},
        )
        for one in matches
    ]
    return found or [HTTPMatchRequest(uri=ANY)]


def _path(path: Any) -> StringMatch:
    """A prefix without the slash at its end, which the API has one ignore."""
    match path.type.value:
        case "Exact":
            return StringMatch(exact=path.value)
        case "RegularExpression":
            return StringMatch(regex=path.value)
    return StringMatch(prefix=path.value.rstrip("/") or "/")


def _value(condition: Any) -> StringMatch:
    return StringMatch(exact=condition.value) if condition.type.value == "Exact" else StringMatch(regex=condition.value)


def _method(method: Any) -> StringMatch:
    exact = method.type.value == "Exact"
    if exact and method.service and method.method:
        return StringMatch(exact=f"/{method.service}/{method.method}")
    if exact and method.service:
        return StringMatch(prefix=f"/{method.service}")
    service, called = (re.escape(text) if exact else text for text in (method.service or "", method.method or ""))
    return StringMatch(regex=f"/{service or ANY_SERVICE}/{called or ANY_METHOD}")
