"""RouteMatch: what a route asks of a request."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..route import conditions
from ..route.table import Match
from .fields import Reader
from .fractions import fraction
from .rewrites import template_of
from .strings import full_match, pattern, plain_test, regex, string_test

if TYPE_CHECKING:
    from ..http.exchange import Exchange

_OLDER = {"exact_match": "exact", "prefix_match": "prefix", "suffix_match": "suffix", "contains_match": "contains"}


def route_match(reader: Reader) -> Match:
    """The compiled test of one route."""
    reader.only(
        "prefix",
        "path",
        "safe_regex",
        "path_separated_prefix",
        "path_match_policy",
        "connect_matcher",
        "case_sensitive",
        "runtime_fraction",
        "headers",
        "query_parameters",
        "grpc",
        "tls_context",
    )
    tests = [_path(reader), *_share(reader), *_grpc(reader)]
    tests += [header(item) for item in reader.items("headers")]
    tests += [_query(item) for item in reader.items("query_parameters")]
    return conditions.every(tests)


def _path(reader: Reader) -> Match:
    message = reader.message
    case_sensitive = reader.wrapped("case_sensitive", True)
    match reader.which("path_specifier"):
        case "path":
            return conditions.exact(message.path, case_sensitive)
        case "safe_regex":
            return conditions.pattern(regex(Reader(message.safe_regex, reader.at("safe_regex"), reader.problems)))
        case "path_separated_prefix":
            text = message.path_separated_prefix
            if not text.startswith("/") or text.endswith("/") or "?" in text or "#" in text:
                reader.refuse("path_separated_prefix", f"{text!r} must begin with a slash, not end in one, and have no ? or #")
            return conditions.segments(text, case_sensitive)
        case "path_match_policy":
            template = template_of(reader)
            return conditions.pattern(pattern(reader, "path_match_policy", template.pattern if template is not None else ""))
        case "connect_matcher":
            Reader(message.connect_matcher, reader.at("connect_matcher"), reader.problems).only()
            return conditions.is_connect
    return conditions.prefix(message.prefix, case_sensitive)


def route_requires(reader: Reader) -> "Callable[[Exchange], bool] | None":
    """What a RouteMatch asks of the connection: `tls_context`."""
    context = reader.child("tls_context")
    if context is None:
        return None
    context.only("presented", "validated")
    wanted = {context.wrapped(name, False) for name in ("presented", "validated") if context.has(name)}
    if len(wanted) > 1:
        return lambda exchange: False  # a certificate that is not validated is never taken
    return conditions.certificate(wanted.pop()) if wanted else None


def header(reader: Reader) -> Match:
    """A HeaderMatcher; without a test it asks that the header is there."""
    reader.only(
        "name",
        "exact_match",
        "safe_regex_match",
        "range_match",
        "present_match",
        "prefix_match",
        "suffix_match",
        "contains_match",
        "string_match",
        "invert_match",
        "treat_missing_header_as_empty",
    )
    message = reader.message
    kind = reader.which("header_match_specifier")
    if kind in ("", "present_match"):
        wanted = message.present_match if kind else True
        return conditions.header_present(message.name, wanted is not message.invert_match)
    return conditions.header_value(
        message.name, _value_test(reader, kind), invert=message.invert_match, missing_is_empty=message.treat_missing_header_as_empty
    )


def _value_test(reader: Reader, kind: str) -> conditions.BytesTest:
    message = reader.message
    match kind:
        case "string_match":
            return string_test(Reader(message.string_match, reader.at(kind), reader.problems))
        case "safe_regex_match":
            return full_match(Reader(message.safe_regex_match, reader.at(kind), reader.problems))
        case "range_match":
            Reader(message.range_match, reader.at(kind), reader.problems).only("start", "end")
            return conditions.number_between(message.range_match.start, message.range_match.end)
    return plain_test(_OLDER[kind], getattr(message, kind))


def _query(reader: Reader) -> Match:
    reader.only("name", "string_match", "present_match")
    message = reader.message
    if reader.which("query_parameter_match_specifier") == "string_match":
        return conditions.query(message.name, string_test(Reader(message.string_match, reader.at("string_match"), reader.problems)))
    return conditions.query(message.name, None, present=message.present_match if message.HasField("present_match") else True)


def _grpc(reader: Reader) -> list[Match]:
    grpc = reader.child("grpc")
    if grpc is None:
        return []
    grpc.only()
    return [conditions.is_grpc]


def _share(reader: Reader) -> list[Match]:
    """The share of requests a route takes."""
    part = fraction(reader.child("runtime_fraction"))
    return [] if part is None else [conditions.share(*part)]
