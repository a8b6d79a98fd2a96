"""Header values with format strings: the one place that asks the observe room what `%...%` means."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import ConfigError, Problem

if TYPE_CHECKING:
    from ..http.exchange import Exchange


def compile_value(text: str) -> "bytes | Callable[[Exchange], bytes]":
    """Constant bytes, or what reads them from an exchange; raises ConfigError for an unknown operator."""
    literal = text.replace("%%", "")
    if "%" not in literal:
        return text.replace("%%", "%").encode()
    raise ConfigError(Problem("", f"{text!r}: command operators are not supported in header values"))
