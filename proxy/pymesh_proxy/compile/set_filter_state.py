"""The filter `set_filter_state`: which of Envoy's well-known keys it may set, and to what."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..filters.set_filter_state import FilterState, SetFilterStateFilter
from .fields import Reader
from .sources import data

if TYPE_CHECKING:
    from .http_filters import Manager

_LONGEST = 255
"""Octets of the name of a protocol (RFC 7301 3.1)."""

_UNREAD = {"omit_empty_values": "there are none in a text without operators", "content_type": "filter state has none"}


def set_filter_state_filter(reader: Reader, manager: "Manager") -> SetFilterStateFilter:
    """The filter of a manager."""
    return SetFilterStateFilter(filter_state(reader))


def filter_state(reader: Reader) -> FilterState:
    """A Config, be it a manager's or a route's."""
    reader.only("on_request_headers")
    found = FilterState()
    for item in reader.items("on_request_headers"):
        found = _value(item).over(found)
    return found


def _value(reader: Reader) -> FilterState:
    reader.only(
        "object_key",
        "factory_key",
        "format_string",
        "skip_if_empty",
        harmless={"shared_with_upstream": "no upstream is an internal listener"},
    )
    key = reader.message.object_key
    text = _text(reader)
    if reader.message.factory_key not in ("", key):
        reader.refuse("factory_key", f"an object of the key {key!r} is made by the factory of that name")
    if key not in _KEYS:
        reader.refuse("object_key", f"nothing reads {key!r}; what is read is {' and '.join(map(repr, _KEYS))}")
    elif text:
        return _KEYS[key](reader, text)
    elif not reader.message.skip_if_empty:
        reader.refuse("format_string", "the text is empty; with skip_if_empty it sets nothing")
    return FilterState()


def _text(reader: Reader) -> str:
    """The text that is set. It is the same for all requests: each other one would have connections of its own."""
    text = _format(reader)
    if "%" in text:
        reader.refuse("format_string", "operators are not supported here: the text has to be the same for all requests")
    return text


def _format(parent: Reader) -> str:
    reader = parent.child("format_string")
    if reader is None:
        return ""
    reader.only("text_format", "text_format_source", harmless=_UNREAD)
    if reader.which("format") == "text_format_source":
        return data(reader.child("text_format_source")).decode("utf-8", "replace")
    return str(reader.message.text_format)


def _protocols(reader: Reader, text: str) -> FilterState:
    protocols = tuple(text.split(","))
    if not all(one.isascii() and 0 < len(one) <= _LONGEST for one in protocols):
        reader.refuse("format_string", f"the name of a protocol has 1 to {_LONGEST} ASCII characters, which is not so in {text!r}")
    return FilterState(alpn=protocols)


def _server_name(reader: Reader, text: str) -> FilterState:
    return FilterState(sni=text)


_KEYS: Mapping[str, Callable[[Reader, str], FilterState]] = {
    "envoy.network.application_protocols": _protocols,
    "envoy.network.upstream_server_name": _server_name,
}
