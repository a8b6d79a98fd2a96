"""Pydantic's verdict on values, in sentences of ours that stand at the offending token."""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .shape import Report, did_you_mean
from .tree import Node, Path, Scalar, Spot, describe, find, json_name, size
from .types import Model

M = TypeVar("M", bound=Model)

_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "bytes_type": "a base64 string",
}

_SIZES = {
    "string_too_long": "characters",
    "string_too_short": "characters",
    "too_long": "entries",
    "too_short": "entries",
}


def build(model: type[M], data: object, root: Node, report: Report, path: Path) -> M | None:
    """The model of the data found at `path` below `root`, or None with every wrong value reported."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _report(detail, root, report, path)
    return None


def _report(detail: ErrorDetails, root: Node, report: Report, path: Path) -> None:
    *steps, last = detail["loc"] or ("",)
    if last == "[key]":  # pydantic's name for the key itself, as against the value below it
        spot = find(root, path + tuple(steps))
        report(spot.shown, spot.mark, f'the key "{steps[-1]}" must be {_EXPECTED[detail["type"]]}')
        return
    spot = find(root, path + detail["loc"])
    report(spot.shown, spot.token, _sentence(detail, spot))


def _sentence(detail: ErrorDetails, spot: Spot) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return f'the required field "{json_name(str(detail["loc"][-1]))}" is missing'
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {describe(spot.node)}{_hint(kind, spot.node)}"
    if kind == "enum":
        return _enum_sentence(context, spot.node)
    if kind in ("greater_than_equal", "less_than_equal"):
        limit = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        return f"must be {limit}, found {describe(spot.node)}"
    if kind in _SIZES:
        return _size_sentence(kind, context, spot.node)
    if kind == "value_error":
        return str(context["error"])
    return detail["msg"]


def _size_sentence(kind: str, context: dict[str, Any], node: Node) -> str:
    if "min_length" in context:  # of which there is no other than 1
        return "must not be empty"
    return f"has at most {context['max_length']} {_SIZES[kind]}, found {size(node)}"


def _hint(kind: str, node: Node) -> str:
    """The trap behind a wrong type, when YAML set one."""
    if not isinstance(node, Scalar):
        return ""
    if kind == "string_type" and isinstance(node.value, bool) and node.text.lower() not in ("true", "false"):
        return f' (YAML 1.1 reads a bare {node.text} as {str(node.value).lower()}; write "{node.text}")'
    if kind == "string_type" and node.value is not None:
        return f' (write "{node.text}")'
    if kind in ("int_type", "float_type", "bool_type") and isinstance(node.value, str) and _reads_as_number_or_bool(node.text):
        return " (write it without quotes)"
    return ""


def _reads_as_number_or_bool(text: str) -> bool:
    return text.lower() in ("true", "false") or text.removeprefix("-").replace(".", "", 1).isdigit()


def _enum_sentence(context: dict[str, Any], node: Node) -> str:
    names = [name.strip("'") for name in str(context["expected"]).replace(" or ", ", ").split(", ")]
    suggestion = did_you_mean(node.value, names) if isinstance(node, Scalar) and isinstance(node.value, str) else ""
    return f"expected one of {', '.join(names)}, found {describe(node)}{suggestion}"
