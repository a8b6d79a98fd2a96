"""Durations as Go writes them (`24h0m0s`, `1.5s`, `500ms`), the form of Istio's environment variables and of protobuf's JSON."""

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)")


def parse(text: str) -> float:
    """Seconds; raises ValueError with a sentence when the text is no non-negative duration."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 45s, 1h30m or 500ms")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
