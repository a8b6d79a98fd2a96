"""Envoy's format strings, compiled: access log lines (text and JSON) and header values.

All that is constant is joined when the configuration arrives; per request there is one read per operator and one
interpolation. An operator that is unknown, or whose fact is not recorded, raises ConfigError naming it.
"""

import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring as _quote
from typing import Any

from ..errors import ConfigError, Problem
from ..http.exchange import Exchange
from ..tcp.session import Session
from .escape import KNOWN, escape, one_line, remember
from .operators import HTTP, TCP, Kind, Make, Operator, Read, function
from .written_out import WRITTEN_OUT

Layout = str | Mapping[str, Any]
"""A text format, or a JSON format as plain values (`log_format.json_format`)."""

_TOKEN = re.compile(r"%%|%([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%|%")

Part = str | Operator


def compile_http(layout: Layout, *, omit_empty: bool = False) -> Callable[[Exchange], str]:
    """One log line per exchange, JSON lines with their newline; text lines end as the format says."""
    written_out = WRITTEN_OUT.get(layout) if isinstance(layout, str) and not omit_empty else None
    if written_out is not None:
        return written_out
    return _compile(layout, HTTP, omit_empty)


def compile_tcp(layout: Layout, *, omit_empty: bool = False) -> Callable[[Session], str]:
    """One log line per TCP connection; what only requests have is absent."""
    return _compile(layout, TCP, omit_empty)


def compile_value(text: str) -> Callable[[Exchange], bytes]:
    """A header's value. What is absent is empty, and nothing can end the header's line."""
    parts = _parse(text, HTTP)
    if all(isinstance(part, str) for part in parts):
        constant = one_line("".join(map(str, parts)).encode("utf-8"))
        return lambda exchange: constant
    pieces = [_value_piece(part) for part in parts]
    if len(pieces) == 1:
        return pieces[0]
    return lambda exchange: b"".join([piece(exchange) for piece in pieces])


def compile_body(layout: Layout, *, omit_empty: bool = False) -> Callable[[Exchange, bytes], bytes]:
    """The body of an answer made here, of the exchange and of what the body would be otherwise (LOCAL_REPLY_BODY).

    Nothing is escaped but in JSON; a JSON body ends with a newline and has its keys in order, as Envoy's do.
    """
    held = [""]

    def local_reply_body(name: str, argument: str | None) -> Operator:
        return Operator(Kind.WHOLE, lambda exchange: held[0])

    table = {**HTTP, "LOCAL_REPLY_BODY": local_reply_body}
    if isinstance(layout, str):
        make = _raw_text(_parse(layout, table), "" if omit_empty else "-")
    else:
        line = _json_value(_in_order(layout), table, omit_empty)
        make = lambda exchange: f"{line(exchange)}\n"  # noqa: E731

    def write(exchange: Exchange, body: bytes) -> bytes:
        held[0] = body.decode("utf-8", "surrogateescape")
        return make(exchange).encode("utf-8", "surrogateescape")

    return write


def _in_order(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


def _compile(layout: Layout, table: Mapping[str, Make], omit_empty: bool) -> Callable[[Any], str]:
    if isinstance(layout, str):
        return _text(_parse(layout, table), "" if omit_empty else "-")
    line = _json_value(layout, table, omit_empty)
    return lambda subject: f"{line(subject)}\n"


def _parse(text: str, table: Mapping[str, Make]) -> list[Part]:
    """Constant texts and operators in turn; raises ConfigError with every operator that cannot be honoured."""
    parts: list[Part] = []
    problems: list[Problem] = []
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() > end:
            parts.append(text[end : token.start()])
        end = token.end()
        try:
            parts.append(_token(token, table))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    return parts + [text[end:]] if end < len(text) else parts


def _token(token: "re.Match[str]", table: Mapping[str, Make]) -> Part:
    name, argument, limit = token.groups()
    if token[0] == "%%":
        return "%"
    if name is None:
        raise ConfigError(Problem("", f"a lone % at character {token.start()} of the format; a percent sign is written %%"))
    make = table.get(name)
    if make is None:
        raise ConfigError(Problem("", f"format operator %{name}% is not supported"))
    operator = make(name, argument)
    return operator if limit is None else _truncated(operator, int(limit))


def _truncated(operator: Operator, limit: int) -> Operator:
    """`:N`, which counts the characters of the value before it is escaped; numbers are left alone, as Envoy does."""
    if operator.kind in (Kind.NUMBER, Kind.MAYBE_NUMBER):
        return operator
    read = operator.read

    def truncated(subject: Any) -> Any:
        value = read(subject)
        return None if value is None else value[:limit]

    return Operator(operator.kind, truncated)


def _text(parts: list[Part], missing: str) -> Callable[[Any], str]:
    """One function with one `%`-interpolation in it: that spares a call per operator."""
    template = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in parts)
    names: dict[str, Any] = {"escape": escape, "remember": remember, "known": KNOWN.get, "missing": missing}
    pieces = [_piece(number, part, names) for number, part in enumerate(part for part in parts if isinstance(part, Operator))]
    return function(f"{template!r} % ({''.join(piece + ', ' for piece in pieces)})", names)


def _piece(number: int, operator: Operator, names: dict[str, Any]) -> str:
    """The expression that writes one operator; what it needs is bound in `names`, under names of its own."""
    code = operator.code
    for name in operator.names:
        names[f"{name}{number}"] = operator.names[name]
        code = re.sub(rf"(?<![\w.]){name}\b", f"{name}{number}", code)
    if not code:
        names[f"read{number}"] = operator.read
        code = f"read{number}(x)"
    match operator.kind:
        case Kind.NUMBER:
            return code
        case Kind.TEXT | Kind.WHOLE:
            return f"({code} or missing)"
        case Kind.MAYBE_NUMBER:
            return f"(missing if (value := {code}) is None else value)"
        case Kind.WIRE:
            written = "escape(value)" if operator.volatile else "(known(value) or remember(value))"
            return f"({written} if (value := {code}) else missing)"


def _value_piece(part: Part) -> Callable[[Exchange], bytes]:
    if isinstance(part, str):
        constant = one_line(part.encode("utf-8"))
        return lambda exchange: constant
    read = part.read
    return lambda exchange: _as_value(read(exchange))


def _constantly(text: str) -> Read:
    return lambda subject: text


def _as_value(value: bytes | str | int | None) -> bytes:
    if value is None:
        return b""
    return one_line(value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace"))


def _json_value(value: Any, table: Mapping[str, Make], omit_empty: bool) -> Callable[[Any], str | None]:
    """JSON text of one value of the format; None stands for an absent value that `omit_empty` leaves out."""
    if isinstance(value, Mapping):
        return _json_object({str(key): _json_value(item, table, omit_empty) for key, item in value.items()})
    if isinstance(value, list):
        items = [_json_value(item, table, omit_empty) for item in value]
        return lambda subject: "[" + ",".join([text for item in items if (text := item(subject)) is not None]) + "]"
    if isinstance(value, str):
        return _json_string(_parse(value, table), omit_empty)
    constant = _constant(value)
    return lambda subject: constant


def _constant(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _json_object(members: Mapping[str, Callable[[Any], str | None]]) -> Callable[[Any], str]:
    pieces = [(_quote(key) + ":", text) for key, text in members.items()]
    return lambda subject: "{" + ",".join([key + text for key, make in pieces if (text := make(subject)) is not None]) + "}"


def _json_string(parts: list[Part], omit_empty: bool) -> Callable[[Any], str | None]:
    """A lone operator keeps its type; operators among text make a string."""
    if len(parts) == 1 and isinstance(parts[0], Operator):
        read, absent = parts[0].read, None if omit_empty else "null"
        if parts[0].kind is Kind.WHOLE:
            return lambda subject: _quote(read(subject))
        return lambda subject: _json_scalar(read(subject), absent)
    texts = _raw_text(parts, "" if omit_empty else "-")
    return lambda subject: _quote(texts(subject))


def _json_scalar(value: bytes | str | int | None, absent: str | None) -> str | None:
    if isinstance(value, int):
        return str(value)
    return _quote(_decode(value)) if value else absent


def _decode(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def _raw_text(parts: list[Part], missing: str) -> Callable[[Any], str]:
    """Like `_text`, but unescaped, because JSON's own quoting follows."""
    readers: list[tuple[Read, str]] = [
        (part.read, "" if part.kind is Kind.WHOLE else missing) if isinstance(part, Operator) else (_constantly(part), "") for part in parts
    ]

    def text(subject: Any) -> str:
        values = [(read(subject), missing) for read, missing in readers]
        return "".join([str(value) if isinstance(value, int) else _decode(value) if value else missing for value, missing in values])

    return text
