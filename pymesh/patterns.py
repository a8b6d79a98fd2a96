"""Patterns in RE2's language, which is what Istio and Envoy mean by a regular expression."""

from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # it would write to standard error by itself


class InvalidPattern(ValueError):
    """A text that RE2 does not parse; `str` is its reason."""


def parse_pattern(text: str) -> Any:
    """The compiled pattern; raises InvalidPattern."""
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        raise InvalidPattern(reason.decode() if isinstance(reason, bytes) else reason) from error
