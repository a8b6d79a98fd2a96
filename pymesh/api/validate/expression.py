"""Expressions in CEL (https://cel.dev), as far as their form is concerned: what they mean is the affair of whoever evaluates them."""

import functools
import importlib
import re
from typing import Any

_FIRST = re.compile(r"ERROR: <input>:(\d+):(\d+): Syntax error: (.*)")
_TOKENS = re.compile(r" expecting .*")


def syntax_error(text: str) -> str | None:
    """A sentence with the place in the text where it stops being an expression; None when it is one."""
    try:
        _parser().compile(text)
    except ValueError as error:
        found = _FIRST.search(str(error))
        if found is None:
            return "is not an expression in CEL"
        return f"is not an expression in CEL: line {found[1]}, column {found[2]}: {_TOKENS.sub('', found[3])}"
    return None


@functools.cache
def _parser() -> Any:
    """Loaded when the first expression is met, because it takes a while."""
    return importlib.import_module("cel")
