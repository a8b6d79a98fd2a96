"""Routes and conditions behind others that take all they are meant for (IST0130, IST0131): legal, and yet dead."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..models.virtualservice import HTTPMatchRequest, HTTPRoute, TCPRoute, TLSRoute
from ..types import Model
from .finding import Finding, Findings


def of_requests(routes: Sequence[HTTPRoute]) -> Findings:
    """Warnings for a list of HTTP routes, at its own path."""
    return _unreachable("http", "request", routes, _Requests().take)


def of_connections(name: str, routes: Sequence[TCPRoute] | Sequence[TLSRoute]) -> Findings:
    """Warnings for the TCP or TLS routes, which are `name` in the VirtualService."""
    return _unreachable(name, "connection", routes, _Connections().take)


def _unreachable(name: str, unit: str, routes: Sequence[Any], take: Callable[[Any], bool]) -> Findings:
    catch_all: int | None = None
    for index, route in enumerate(routes):
        if catch_all is not None:
            yield Finding((index,), f"never reached: {name}[{catch_all}] has no match and takes every {unit}", "warning", "IST0130")
            continue
        covered = [take(match) for match in route.match]
        if route.match and all(covered):
            yield Finding((index,), f"never reached: earlier routes take all of its {unit}s", "warning", "IST0130")
        else:
            for place in (place for place, is_covered in enumerate(covered) if is_covered):
                yield Finding((index, "match", place), f"never matches: an earlier condition takes these {unit}s", "warning", "IST0131")
        catch_all = index if not route.match else None


class _Connections:
    """The conditions that were there before. A table, as there may be thousands."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def take(self, match: Model) -> bool:
        """Whether an equal condition was there before."""
        key = _key(match)
        known = key in self._seen
        self._seen.add(key)
        return known


class _Requests:
    """The URIs that were there before, by the conditions beside them."""

    def __init__(self) -> None:
        self._uris: dict[str, set[str]] = {}
        self._prefixes: dict[str, tuple[str, ...]] = {}

    def take(self, match: HTTPMatchRequest) -> bool:
        """Whether equal conditions, or a shorter URI prefix beside equal conditions, leave nothing for this one."""
        rest = _key(match, "uri", "name", "stat_prefix")
        uri, prefix = _key(match.uri) if match.uri else "", match.uri.prefix if match.uri else None
        uris, prefixes = self._uris.setdefault(rest, set()), self._prefixes.get(rest, ())
        known = uri in uris or (prefix is not None and prefix.startswith(prefixes))
        uris.add(uri)
        if prefix is not None and not known:
            self._prefixes[rest] = (*prefixes, prefix)
        return known


def _key(model: Model, *without: str) -> str:
    """The same for models that say the same."""
    return json.dumps(model.model_dump(mode="json", exclude=set(without), exclude_defaults=True), sort_keys=True)
