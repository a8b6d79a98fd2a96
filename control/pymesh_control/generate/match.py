"""HTTP match conditions of VirtualServices, as Envoy route matches."""

from collections.abc import Mapping
from typing import Any

from pymesh.xds import proto

_ROUTE = proto.route_components
_PSEUDO = (("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme"))

EVERYTHING = _ROUTE.RouteMatch(prefix="/")


def route_match(match: Any, *, whole_segments: bool = False) -> Any:
    """The RouteMatch of one HTTPMatchRequest, apart from what selects the proxy (port, gateways, source).

    `whole_segments`: the prefix `/a` is that of `/a` and `/a/b`, not of `/ab`.
    """
    message = _ROUTE.RouteMatch()
    _set_path(message, match.uri, whole_segments=whole_segments)
    if match.ignore_uri_case:
        message.case_sensitive.value = False
    for name in sorted(match.headers):
        message.headers.append(_header(name, match.headers[name]))
    for name in sorted(match.without_headers):
        message.headers.append(_without(name, match.without_headers[name]))
    for attribute, name in _PSEUDO:
        value = getattr(match, attribute)
        if value is not None:
            message.headers.append(_header(name, value))
    message.query_parameters.extend(_queries(match.query_params))
    return message


def is_catch_all(message: Any) -> bool:
    """Whether a route takes every request, so that none after it can match."""
    path = message.prefix == "/" or message.safe_regex.regex == ".*"
    return path and not message.headers and not message.query_parameters


def _set_path(message: Any, uri: Any, *, whole_segments: bool) -> None:
    kind, text = _condition(uri)
    if kind == "exact":
        message.path = text
    elif kind == "regex":
        message.safe_regex.regex = text
    elif whole_segments and text.strip("/"):
        message.path_separated_prefix = text
    else:
        message.prefix = text or "/"


def _header(name: str, value: Any) -> Any:
    message = _ROUTE.HeaderMatcher(name=name)
    kind, text = _condition(value)
    if not kind or (kind == "regex" and text == "*"):  # `*` is no regular expression: Istio reads it as "present"
        message.present_match = True
    else:
        message.string_match.CopyFrom(_string(kind, text))
    return message


def _without(name: str, value: Any) -> Any:
    """The negation. A missing header counts as empty, else Envoy would take "absent" for "not even comparable" and not match."""
    message = _header(name, value)
    message.invert_match = True
    if message.WhichOneof("header_match_specifier") == "string_match":
        message.treat_missing_header_as_empty = True
    return message


def _queries(params: Mapping[str, Any]) -> list[Any]:
    found = []
    for name in sorted(params):
        kind, text = _condition(params[name])
        if not kind:
            found.append(_ROUTE.QueryParameterMatcher(name=name, present_match=True))
        else:
            found.append(_ROUTE.QueryParameterMatcher(name=name, string_match=_string(kind, text)))
    return found


def _condition(value: Any) -> tuple[str, str]:
    """(exact, prefix or regex; its text); empty for a StringMatch with nothing set."""
    for kind in ("exact", "prefix", "regex"):
        text = getattr(value, kind, None)
        if text is not None:
            return kind, text
    return "", ""


def string_matcher(value: Any) -> Any:
    """A StringMatch with something set, as Envoy's StringMatcher."""
    return _string(*_condition(value))


def _string(kind: str, text: str) -> Any:
    if kind == "regex":
        return proto.string_matcher.StringMatcher(safe_regex={"regex": text})
    return proto.string_matcher.StringMatcher(**{kind: text})
