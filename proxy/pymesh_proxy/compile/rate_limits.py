"""`rate_limits`: how routes and virtual hosts describe requests to rate limits."""

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ..filters.descriptors import Entry, RateLimits, Rule
from ..route.conditions import header_values, query_value
from .fields import Reader
from .route_match import header
from .strings import string_test

if TYPE_CHECKING:
    from ..http.exchange import Exchange

Action = Callable[["Exchange", str], "Entry | bool"]

_NO_DYNAMIC = "no filter here writes dynamic metadata"


def rate_limits(route: Reader, host: tuple[Rule, ...]) -> RateLimits | None:
    """The rules that a RouteAction and its virtual host have; None when there are none."""
    own = shared_rules(route)
    if not own and not host:
        return None
    return RateLimits(own, host, includes=route.wrapped("include_vh_rate_limits", False))


def shared_rules(reader: Reader) -> tuple[Rule, ...]:
    """The `rate_limits` of a RouteAction or a virtual host, for the filters of every kind."""
    for item in reader.items("rate_limits"):
        if item.has("hits_addend"):
            item.refuse("hits_addend", "Envoy has this for the rules in a filter's own configuration only")
    return rules(reader)


def rules(reader: Reader) -> tuple[Rule, ...]:
    """The `rate_limits` of a message."""
    return tuple(_rule(item) for item in reader.items("rate_limits"))


def host_option(reader: Reader) -> int:
    """`vh_rate_limits`, the same enum in several messages."""
    return int(reader.message.vh_rate_limits)


def _rule(reader: Reader) -> Rule:
    reader.only(
        "stage",
        "actions",
        "hits_addend",
        harmless={"disable_key": "there is no runtime that could switch the rule off"},
        at_default={"apply_on_stream_done": False},
    )
    actions = tuple(_action(item) for item in reader.items("actions"))
    return Rule(actions, stage=reader.wrapped("stage", 0), hits=_hits(reader.child("hits_addend")))


def _hits(reader: Reader | None) -> int:
    if reader is None:
        return 0
    reader.only("number")
    return int(reader.wrapped("number", 0))


def _action(reader: Reader) -> Action:
    reader.only(*_ACTIONS)
    kind = reader.which("action_specifier")
    build = _ACTIONS.get(kind)
    if build is None:
        return _nothing
    return build(Reader(getattr(reader.message, kind), reader.at(kind), reader.problems))


def _nothing(exchange: "Exchange", own: str) -> bool:
    return False


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _source_cluster(reader: Reader) -> Action:
    reader.only()
    return lambda exchange, own: ("source_cluster", own)


def _destination_cluster(reader: Reader) -> Action:
    reader.only()
    return lambda exchange, own: ("destination_cluster", exchange.cluster_name)


def _request_headers(reader: Reader) -> Action:
    reader.only("header_name", "descriptor_key", "skip_if_absent")
    name = reader.message.header_name.lower().encode()
    key, skips = reader.message.descriptor_key, reader.message.skip_if_absent
    read = header_values(name.decode())

    def made(exchange: "Exchange", own: str) -> Entry | bool:
        values = read(exchange.head)
        return (key, _text(values[0])) if values else skips

    return made


def _query_parameters(reader: Reader) -> Action:
    reader.only("query_parameter_name", "descriptor_key", "skip_if_absent")
    name = reader.message.query_parameter_name.encode()
    key, skips = reader.message.descriptor_key, reader.message.skip_if_absent

    def made(exchange: "Exchange", own: str) -> Entry | bool:
        value = query_value(exchange.head.path, name)
        return (key, _text(unquote_to_bytes(value))) if value else skips

    return made


def _remote_address(reader: Reader) -> Action:
    reader.only()
    return lambda exchange, own: ("remote_address", _ip(exchange)) if _ip(exchange) else False


def _masked_remote_address(reader: Reader) -> Action:
    reader.only("v4_prefix_mask_len", "v6_prefix_mask_len")
    lengths = {4: reader.wrapped("v4_prefix_mask_len", 32), 6: reader.wrapped("v6_prefix_mask_len", 128)}

    def made(exchange: "Exchange", own: str) -> Entry | bool:
        text = _ip(exchange)
        if not text:
            return False
        address = ipaddress.ip_address(text)
        network = ipaddress.ip_network((address, lengths[address.version]), strict=False)
        return "masked_remote_address", str(network)

    return made


def _ip(exchange: "Exchange") -> str:
    """The trusted client's address without its port; empty when it has none."""
    return exchange.remote_address.rpartition(":")[0].strip("[]")


def _generic_key(reader: Reader) -> Action:
    reader.only("descriptor_value", "descriptor_key")
    entry = (reader.message.descriptor_key or "generic_key", _constant(reader))
    return lambda exchange, own: entry


def _header_value_match(reader: Reader) -> Action:
    reader.only("descriptor_key", "descriptor_value", "expect_match", "headers")
    entry = (reader.message.descriptor_key or "header_match", _constant(reader))
    tests = [header(item) for item in reader.items("headers")]
    expected = reader.wrapped("expect_match", True)
    return lambda exchange, own: entry if all(test(exchange.head, 0) for test in tests) is expected else False


def _query_parameter_value_match(reader: Reader) -> Action:
    reader.only("descriptor_key", "descriptor_value", "expect_match", "query_parameters")
    entry = (reader.message.descriptor_key or "query_match", _constant(reader))
    tests = [_decoded(item) for item in reader.items("query_parameters")]
    expected = reader.wrapped("expect_match", True)
    return lambda exchange, own: entry if all(test(exchange.head.path) for test in tests) is expected else False


def _decoded(reader: Reader) -> Callable[[bytes], bool]:
    """A QueryParameterMatcher of the decoded value; routes match what is written."""
    reader.only("name", "string_match", "present_match")
    name = reader.message.name.encode()
    if reader.which("query_parameter_match_specifier") == "string_match":
        test = string_test(Reader(reader.message.string_match, reader.at("string_match"), reader.problems))
        return lambda path: (value := query_value(path, name)) is not None and test(unquote_to_bytes(value))
    present = reader.message.present_match if reader.message.HasField("present_match") else True
    return lambda path: (query_value(path, name) is not None) is present


def _constant(reader: Reader) -> str:
    """`descriptor_value`, which newer Envoys read as a format string."""
    value = str(reader.message.descriptor_value)
    if "%" in value:
        reader.refuse("descriptor_value", f"{value!r} has an operator, which is not supported here")
    return value


def _metadata(reader: Reader) -> Action:
    reader.only("descriptor_key", "metadata_key", "default_value", "source", "skip_if_absent")
    message = reader.message
    if reader.choice("source") != "ROUTE_ENTRY":
        reader.refuse("source", f"{_NO_DYNAMIC}; ROUTE_ENTRY is supported")
    path = _path(Reader(message.metadata_key, reader.at("metadata_key"), reader.problems))
    key, default, skips = message.descriptor_key, message.default_value, message.skip_if_absent

    def made(exchange: "Exchange", own: str) -> Entry | bool:
        value = _of_route(exchange, path) or default
        return (key, value) if value else skips

    return made


def _path(reader: Reader) -> list[str]:
    """A MetadataKey: the name of a filter, and the way from there."""
    reader.only("key", "path")
    segments = reader.items("path")
    for segment in segments:
        segment.only("key")
    return [reader.message.key, *(segment.message.key for segment in segments)]


def _of_route(exchange: "Exchange", path: list[str]) -> str:
    """A string in the route's metadata; empty when there is none."""
    metadata: Any = exchange.route.metadata if exchange.route is not None else None
    if metadata is None or path[0] not in metadata.filter_metadata:
        return ""
    fields = metadata.filter_metadata[path[0]].fields
    for segment in path[1:-1]:
        if segment not in fields:
            return ""
        fields = fields[segment].struct_value.fields
    return str(fields[path[-1]].string_value) if path[1:] and path[-1] in fields else ""


_ACTIONS: dict[str, Callable[[Reader], Action]] = {
    "source_cluster": _source_cluster,
    "destination_cluster": _destination_cluster,
    "request_headers": _request_headers,
    "query_parameters": _query_parameters,
    "remote_address": _remote_address,
    "masked_remote_address": _masked_remote_address,
    "generic_key": _generic_key,
    "header_value_match": _header_value_match,
    "query_parameter_value_match": _query_parameter_value_match,
    "metadata": _metadata,
}
