"""Delegates: VirtualServices without hosts whose routes others take in, one level deep, as Istio merges them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pymesh.api import Resource, hosts

from .service import full_name
from .visibility import exported

_INHERITED = (
    "rewrite", "direct_response", "timeout", "retries", "fault", "mirror", "mirrors", "mirror_percent", "mirror_percentage",
    "cors_policy", "headers",
)  # fmt: skip
"""What a delegate's route takes from the root's where it has none of its own."""

_CONDITIONS = ("uri", "scheme", "method", "authority")
_MAPS = ("headers", "without_headers", "query_params")


@dataclass(frozen=True, slots=True)
class Missing:
    """A root's route that names a delegate which is not there, or not for it."""

    root: Resource
    index: int
    name: str


def resolved(resources: Sequence[Resource]) -> tuple[list[Resource], list[Missing]]:
    """The VirtualServices with hosts, their delegates' routes in place; and the routes that delegate to nothing."""
    delegates = {(one.namespace, one.name): one for one in resources if not one.spec.hosts}
    missing: list[Missing] = []
    return [_merged(root, delegates, missing) for root in resources if root.spec.hosts], missing


def _merged(root: Resource, delegates: Mapping[tuple[str, str], Resource], missing: list[Missing]) -> Resource:
    if not any(http.delegate for http in root.spec.http):
        return root
    routes: list[Any] = []
    for index, http in enumerate(root.spec.http):
        if http.delegate is None:
            routes.append(http)
            continue
        place = (http.delegate.namespace or root.namespace, http.delegate.name or "")
        delegate = delegates.get(place)
        if delegate is None or not exported(delegate.spec.export_to, delegate.namespace).reaches(root.namespace):
            missing.append(Missing(root, index, "/".join(place)))
        else:
            routes += _taken_in(http, _named(http.match, root.namespace), delegate)
    return replace(root, spec=root.spec.model_copy(update={"http": routes}))


def _taken_in(http: Any, outer: Sequence[Any], delegate: Resource) -> Iterator[Any]:
    """A delegate's routes under a root's with its matches; one of which a condition contradicts all of the root's is left out."""
    for inner in delegate.spec.http:
        matches = _matches(outer, _named(inner.match, delegate.namespace))
        if matches is None:
            continue
        inherited = {name: getattr(http, name) for name in _INHERITED if getattr(inner, name) in (None, [])}
        yield _expanded(inner, delegate.namespace).model_copy(
            update={**inherited, "match": matches, "name": _joined(http.name, inner.name)},
        )


def _named(matches: Sequence[Any], namespace: str) -> list[Any]:
    """Matches with the gateways that they name under their full names: short ones mean the namespace of who names them."""
    return [one.model_copy(update={"gateways": [hosts.expand_gateway(name, namespace) for name in one.gateways]}) for one in matches]


def _joined(outer: str | None, inner: str | None) -> str | None:
    return "-".join(filter(None, (outer, inner))) or None


def _expanded(http: Any, namespace: str) -> Any:
    """Destinations under their full names: short ones mean the delegate's namespace, not the root's."""

    def full(destination: Any) -> Any:
        return destination.model_copy(update={"host": full_name(destination.host, namespace)})

    shares = [share.model_copy(update={"destination": full(share.destination)}) for share in http.route]
    mirrors = [one.model_copy(update={"destination": full(one.destination)}) for one in http.mirrors]
    return http.model_copy(update={"route": shares, "mirrors": mirrors, "mirror": http.mirror and full(http.mirror)})


def _matches(outer: Sequence[Any], inner: Sequence[Any]) -> list[Any] | None:
    """Each of the delegate's matches with each of the root's, where both can hold; None when one of the delegate's lies within none."""
    if not outer or not inner:
        return list(inner or outer)
    found = [[_match(one, other) for one in outer if _agree(one, other)] for other in inner]
    return [match for matches in found for match in matches] if all(found) else None


def _match(outer: Any, inner: Any) -> Any:
    """Both together: a delegate's condition is the narrower one where both have it."""
    update: dict[str, Any] = {name: getattr(inner, name) or getattr(outer, name) for name in (*_CONDITIONS, "port", "source_namespace")}
    update |= {name: {**getattr(outer, name), **getattr(inner, name)} for name in (*_MAPS, "source_labels")}
    update |= {"gateways": inner.gateways or outer.gateways, "ignore_uri_case": outer.ignore_uri_case or inner.ignore_uri_case}
    update |= {"name": _joined(outer.name, inner.name), "stat_prefix": inner.stat_prefix or outer.stat_prefix}
    return inner.model_copy(update=update)


def _agree(outer: Any, inner: Any) -> bool:
    """Whether the delegate's match lies within the root's."""
    if bool(outer.ignore_uri_case) != bool(inner.ignore_uri_case):
        return False
    if not all(_within(getattr(outer, name), getattr(inner, name)) for name in _CONDITIONS):
        return False
    if not all(_within(value, getattr(inner, name).get(key)) for name in _MAPS for key, value in getattr(outer, name).items()):
        return False
    return _same(outer, inner) and (not outer.gateways or set(inner.gateways) <= set(outer.gateways))


def _same(outer: Any, inner: Any) -> bool:
    labels = all(outer.source_labels.get(key, value) == value for key, value in inner.source_labels.items())
    ports = not outer.port or not inner.port or outer.port == inner.port
    return labels and ports and outer.source_namespace in (None, "", inner.source_namespace)


def _within(outer: Any, inner: Any) -> bool:
    """Whether one StringMatch holds for no more than the other, as Istio compares them: a regular expression, and a match that only asks
    whether something is there, cannot be compared with anything."""
    if outer is None or inner is None:
        return True
    if outer.regex or inner.regex:
        return False
    if outer.exact:
        return bool(inner.exact == outer.exact and not inner.prefix)
    text = inner.prefix or inner.exact or ""
    return bool(outer.prefix) and text.startswith(outer.prefix)
