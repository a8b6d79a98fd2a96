"""Routes and conditions behind others that take all they are meant for (IST0130, IST0131): legal, and yet dead."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..models.virtualservice import HTTPMatchRequest, HTTPRoute, TCPRoute, TLSRoute
from .finding import Finding, Findings


def of_requests(routes: Sequence[HTTPRoute]) -> Findings:
    """Warnings for a list of HTTP routes, at its own path."""
    return _unreachable("http", "request", routes, _covers)


def of_connections(name: str, routes: Sequence[TCPRoute] | Sequence[TLSRoute]) -> Findings:
    """Warnings for the TCP or TLS routes, which are `name` in the VirtualService."""
    return _unreachable(name, "connection", routes, operator.eq)


def _unreachable(name: str, unit: str, routes: Sequence[Any], covers: Callable[[Any, Any], bool]) -> Findings:
    earlier: list[Any] = []
    catch_all: int | None = None
    for index, route in enumerate(routes):
        if catch_all is not None:
            yield Finding((index,), f"never reached: {name}[{catch_all}] has no match and takes every {unit}", "warning", "IST0130")
            continue
        covered = [any(covers(rule, match) for rule in earlier + route.match[:place]) for place, match in enumerate(route.match)]
        if route.match and all(covered):
            yield Finding((index,), f"never reached: earlier routes take all of its {unit}s", "warning", "IST0130")
        else:
            for place in (place for place, is_covered in enumerate(covered) if is_covered):
                yield Finding((index, "match", place), f"never matches: an earlier condition takes these {unit}s", "warning", "IST0131")
        earlier += route.match
        catch_all = index if not route.match else None


def _covers(earlier: HTTPMatchRequest, later: HTTPMatchRequest) -> bool:
    """Whether equal conditions, or a shorter URI prefix beside equal conditions, leave nothing for the later match."""
    if _without_uri(earlier) != _without_uri(later):
        return False
    one, two = earlier.uri, later.uri
    if one == two:
        return True
    return bool(one and two and one.prefix is not None and two.prefix is not None and two.prefix.startswith(one.prefix))


def _without_uri(match: HTTPMatchRequest) -> HTTPMatchRequest:
    return match.model_copy(update={"uri": None, "name": None, "stat_prefix": None})
