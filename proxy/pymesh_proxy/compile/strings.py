"""StringMatcher and RegexMatcher, compiled to closures over bytes."""

from collections.abc import Callable
from typing import Any

from pymesh.patterns import InvalidPattern, parse_pattern

from .fields import Reader

BytesTest = Callable[[bytes], bool]

_PLAIN = frozenset({"exact", "prefix", "suffix", "contains"})


def regex(reader: Reader) -> Any:
    """An RE2 pattern from a RegexMatcher; one that matches nothing, with a problem, when it does not parse."""
    reader.only("regex", "google_re2")
    engine = reader.child("google_re2")
    if engine is not None:
        engine.only(harmless={"max_program_size": "it can only have Envoy refuse the pattern"})
    return pattern(reader, "regex", reader.message.regex)


def pattern(reader: Reader, name: str, text: str) -> Any:
    """An RE2 pattern; a mistake in it is reported at the field `name`."""
    try:
        return parse_pattern(text)
    except InvalidPattern as invalid:
        reader.refuse(name, f"{text!r} is no RE2 pattern: {invalid}")
        return parse_pattern("[^\\x00-\\x{10FFFF}]")


def full_match(reader: Reader) -> BytesTest:
    """A test whether a RegexMatcher matches a whole value, as Envoy's do."""
    matches = regex(reader).fullmatch
    return lambda value: matches(value) is not None


def string_test(reader: Reader) -> BytesTest:
    """A StringMatcher's test. `ignore_case` folds ASCII, and does not apply to regular expressions."""
    reader.only("exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case")
    kind = reader.which("match_pattern")
    if kind == "safe_regex":
        return full_match(Reader(reader.message.safe_regex, reader.at("safe_regex"), reader.problems))
    text = getattr(reader.message, kind) if kind in _PLAIN else ""
    return plain_test(kind, text, reader.message.ignore_case)


def plain_test(kind: str, text: str, ignore_case: bool = False) -> BytesTest:
    """The test of one of exact, prefix, suffix, contains against a text."""
    wanted = text.encode()
    if ignore_case:
        exact_case = plain_test(kind, text.lower())
        return lambda value: exact_case(value.lower())
    tests: dict[str, BytesTest] = {
        "prefix": lambda value: value.startswith(wanted),
        "suffix": lambda value: value.endswith(wanted),
        "contains": lambda value: wanted in value,
    }
    return tests.get(kind, lambda value: value == wanted)
