"""The constraints that Envoy's protobufs carry on their own fields: required, minimum length, greater than zero, defined enum ...

They are read from the descriptors (protoc-gen-validate's options), so they are Envoy's to the letter. Each message type is read
once; checking a message then runs a flat list of closures. Contents of `Any` are checked where they are unpacked.
"""

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any

from pymesh.xds import proto

from ..errors import Problem

Check = Callable[[Any, str, list[Problem]], None]
"""Looks at one message that stands at a path and reports what is wrong."""

Test = Callable[[Any], str]
"""A sentence about what is wrong with one value; empty when nothing is."""

_rules = proto.validate.rules
_required = proto.validate.required

_HEADER_CHARACTERS = "\r\n\0"


def check(message: Any, path: str, problems: list[Problem]) -> None:
    """Report every violated constraint of a message and of the messages inside it."""
    for verify in _checks(message.DESCRIPTOR):
        verify(message, path, problems)


@functools.cache
def _checks(descriptor: Any) -> tuple[Check, ...]:
    if descriptor.full_name.startswith("google.protobuf."):
        return ()
    fields = [made for field in descriptor.fields for made in _field_checks(field)]
    oneofs = [_oneof_check(oneof) for oneof in descriptor.oneofs if oneof.GetOptions().Extensions[_required]]
    return (*fields, *oneofs)


def _oneof_check(oneof: Any) -> Check:
    names = " or ".join(field.name for field in oneof.fields)

    def verify(message: Any, path: str, problems: list[Problem]) -> None:
        if message.WhichOneof(oneof.name) is None:
            problems.append(Problem(_join(path, oneof.name), f"one of {names} is required"))

    return verify


def _field_checks(field: Any) -> Iterable[Check]:
    rules = field.GetOptions().Extensions[_rules]
    if field.is_repeated:
        if not _is_map(field):
            yield _repeated(field, rules.repeated)
        return
    if field.containing_oneof is None and (rules.message.required or rules.any.required or rules.duration.required):
        yield _present(field)
    test = _test(rules, field)
    if test is not None:
        yield _value(field, test)
    if field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
        yield _nested(field)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _present(field: Any) -> Check:
    def verify(message: Any, path: str, problems: list[Problem]) -> None:
        if not message.HasField(field.name):
            problems.append(Problem(_join(path, field.name), "this field is required"))

    return verify


def _value(field: Any, test: Test) -> Check:
    wrapper = field.message_type is not None and field.message_type.full_name.endswith("Value")

    def verify(message: Any, path: str, problems: list[Problem]) -> None:
        if field.has_presence and not message.HasField(field.name):
            return
        value = getattr(message, field.name)
        sentence = test(value.value if wrapper else value)
        if sentence:
            problems.append(Problem(_join(path, field.name), sentence))

    return verify


def _nested(field: Any) -> Check:
    def verify(message: Any, path: str, problems: list[Problem]) -> None:
        if message.HasField(field.name):
            check(getattr(message, field.name), _join(path, field.name), problems)

    return verify


def _repeated(field: Any, rules: Any) -> Check:
    test = _test(rules.items, field)
    nested = field.message_type is not None

    def verify(message: Any, path: str, problems: list[Problem]) -> None:
        values = getattr(message, field.name)
        where = _join(path, field.name)
        if len(values) < rules.min_items:
            problems.append(Problem(where, f"at least {rules.min_items} needed, {len(values)} given"))
        if rules.max_items and len(values) > rules.max_items:
            problems.append(Problem(where, f"at most {rules.max_items} allowed, {len(values)} given"))
        for index, value in enumerate(values):
            sentence = test(value) if test is not None else ""
            if sentence:
                problems.append(Problem(f"{where}[{index}]", sentence))
            if nested:
                check(value, f"{where}[{index}]", problems)

    return verify


def _test(rules: Any, field: Any) -> Test | None:
    """The test of one value's rules, or None when there is nothing to test."""
    match rules.WhichOneof("type"):
        case "string" | "bytes" as kind:
            return _text_test(getattr(rules, kind))
        case "duration":
            return _number_test(rules.duration, _seconds)
        case "enum":
            return _enum_test(rules.enum, field.enum_type)
        case kind if kind in _NUMBERS:
            return _number_test(getattr(rules, kind), float)
    return None


_NUMBERS = frozenset({"float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64"})


_BOUNDS: tuple[tuple[str, Callable[[float, float], bool], str], ...] = (
    ("gt", operator.gt, "greater than"),
    ("gte", operator.ge, "at least"),
    ("lt", operator.lt, "less than"),
    ("lte", operator.le, "at most"),
)


def _seconds(value: Any) -> float:
    return float(value.seconds + value.nanos / 1e9)


def _number_test(rules: Any, read: Callable[[Any], float]) -> Test:
    bounds = [(read(getattr(rules, name)), holds, words) for name, holds, words in _BOUNDS if rules.HasField(name)]

    def test(raw: Any) -> str:
        value = read(raw)
        for bound, holds, words in bounds:
            if not holds(value, bound):
                return f"{value:g} must be {words} {bound:g}"
        return ""

    return test


def _enum_test(rules: Any, enum: Any) -> Test:
    forbidden = frozenset(rules.not_in)

    def test(value: int) -> str:
        known = value in enum.values_by_number and value not in forbidden
        return "" if known else f"{value} is none of {', '.join(item.name for item in enum.values if item.number not in forbidden)}"

    return test


def _text_test(rules: Any) -> Test:
    shortest = max(rules.min_len, getattr(rules, "min_bytes", 0))
    longest = getattr(rules, "max_bytes", 0) or rules.max_len
    header = getattr(rules, "well_known_regex", 0) != 0

    def test(value: Any) -> str:
        if len(value) < shortest:
            return "this field is required" if shortest == 1 else f"at least {shortest} characters needed"
        if longest and len(value) > longest:
            return f"at most {longest} characters allowed"
        if header and any(character in value for character in _HEADER_CHARACTERS):
            return f"{value!r} has a line break or NUL in it, which no header may have"
        return ""

    return test


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
