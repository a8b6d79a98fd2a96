"""Header values with format strings: constants stay bytes, everything else reads the exchange."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..observe import format as formats

if TYPE_CHECKING:
    from ..http.exchange import Exchange


def compile_value(text: str) -> "bytes | Callable[[Exchange], bytes]":
    """Constant bytes, or what reads them from an exchange; raises ConfigError for an unknown operator."""
    literal = text.replace("%%", "")
    return formats.compile_value(text) if "%" in literal else text.replace("%%", "%").encode()
