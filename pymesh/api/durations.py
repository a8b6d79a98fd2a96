"""Durations as Go writes them and Istio's users type them (`1h30m`, `0.5s`, `100ms`), read into seconds."""

import re
from fractions import Fraction

_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # U+00B5, the micro sign
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = Fraction(2**63, 10**9)  # Go counts nanoseconds in 64 bits: about 292 years
_MILLISECOND = Fraction(1, 1000)


class InvalidDuration(ValueError):
    """The text is not a duration that may stand here; the message says why."""


def parse(text: str, *, zero: bool = False) -> float:
    """Seconds in a duration of whole milliseconds, at least one unless `zero` allows none; raises InvalidDuration."""
    seconds = _seconds(text)
    if seconds % _MILLISECOND:
        raise InvalidDuration(f'the duration "{text}" is finer than a millisecond')
    if seconds < 0 or (seconds == 0 and not zero):
        raise InvalidDuration(f'the duration "{text}" must be at least {"0s" if zero else "1ms"}')
    return float(seconds)


def _seconds(text: str) -> Fraction:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return Fraction(0)
    total, at = Fraction(0), 0
    while at < len(digits) and (part := _PART.match(digits, at)):
        total += Fraction(part[1].removesuffix(".")) * _UNITS[part[2]]
        at = part.end()
    if not digits or at < len(digits):
        raise InvalidDuration(f'"{text}" is not a duration such as "10s", "100ms" or "1h30m"')
    if total >= _LONGEST:
        raise InvalidDuration(f'the duration "{text}" is longer than 292 years')
    return sign * total


def render(seconds: float) -> str:
    """The shortest text of one unit that reads back as the same whole milliseconds."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
