"""Header mutations of a weighted cluster, a route, a virtual host or a table."""

from ..errors import ConfigError
from ..route.edits import Addition, Append, Level
from .fields import Reader
from .values import compile_value

FIELDS = ("request_headers_to_add", "request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove")


def request_level(reader: Reader) -> Level:
    """The request mutations of a message."""
    return _level(reader, "request_headers_to_add", "request_headers_to_remove")


def response_level(reader: Reader) -> Level:
    """The response mutations of a message."""
    return _level(reader, "response_headers_to_add", "response_headers_to_remove")


def _level(reader: Reader, add: str, remove: str) -> Level:
    for index, name in enumerate(getattr(reader.message, remove)):
        check_removable(reader, f"{remove}[{index}]", name)
    removed = tuple(name.lower().encode() for name in getattr(reader.message, remove))
    additions = (addition(item) for item in reader.items(add))
    return Level(remove=removed, add=tuple(item for item in additions if item is not None))


def check_removable(reader: Reader, field: str, name: str) -> None:
    """Report a header that no configuration may remove."""
    if _is_protected(name):
        reader.refuse(field, f"{name!r}: :-prefixed or host headers may not be removed")


def addition(reader: Reader) -> Addition | None:
    """A HeaderValueOption; None, with a problem, when it cannot be honoured."""
    reader.only("header", "append", "append_action", "keep_empty_value")
    header = Reader(reader.message.header, reader.at("header"), reader.problems)
    header.only("key", "value", "raw_value")
    message = header.message
    if _is_protected(message.key):
        header.refuse("key", f"{message.key!r}: :-prefixed or host headers may not be modified")
        return None
    if message.value and message.raw_value:
        header.refuse("raw_value", "give value or raw_value, not both")
    try:
        value = message.raw_value or compile_value(message.value)
    except ConfigError as error:
        header.adopt(error, "value")
        return None
    return Addition(name=message.key.lower().encode(), value=value, action=_action(reader), keep_empty=reader.message.keep_empty_value)


def _action(reader: Reader) -> Append:
    """append_action, or the older `append`."""
    if reader.has("append"):
        if reader.has("append_action"):
            reader.refuse("append", "give append_action or the older append, not both")
        return Append.APPEND_IF_EXISTS_OR_ADD if reader.message.append.value else Append.OVERWRITE_IF_EXISTS_OR_ADD
    return Append.__members__.get(reader.choice("append_action"), Append.APPEND_IF_EXISTS_OR_ADD)


def _is_protected(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
