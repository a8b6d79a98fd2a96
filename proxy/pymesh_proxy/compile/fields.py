"""Reading a protobuf message field by field, with the path of each and one list for everything that is wrong.

Nothing set in a message may go unnoticed: every compile function first says with `Reader.only` which fields it honours and
which do no harm (and why); any other field that is set becomes a Problem.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import DecodeError

from pymesh.xds import proto

from ..errors import ConfigError, Problem
from . import constraints

T = TypeVar("T")


class Reader:
    """A message, the path where it stands, and the problems found so far (shared with all readers of one resource)."""

    __slots__ = ("message", "path", "problems")

    def __init__(self, message: Any, path: str, problems: list[Problem]) -> None:
        self.message = message
        self.path = path
        self.problems = problems

    def __repr__(self) -> str:
        return f"<Reader {self.message.DESCRIPTOR.name} at {self.path or 'the top'}>"

    def at(self, name: str) -> str:
        """The path of a field of this message."""
        return f"{self.path}.{name}" if self.path else name

    def refuse(self, name: str, sentence: str) -> None:
        """Report one field; an empty name means the message itself."""
        self.problems.append(Problem(self.at(name) if name else self.path, sentence))

    def adopt(self, error: ConfigError, name: str = "") -> None:
        """Report what another room found wrong with a field's content."""
        for problem in error.problems:
            self.refuse(name, str(problem))

    def only(self, *honoured: str, harmless: Mapping[str, str] | None = None, at_default: Mapping[str, Any] | None = None) -> None:
        """Refuse every set field that is not named.

        `harmless` maps a field to the reason why leaving it out changes nothing; `at_default` to the one value at which it asks for
        what is done anyway.
        """
        known = {*honoured, *(harmless or ())}
        for field, value in self.message.ListFields():
            if field.name in known or (at_default and field.name in at_default and _plain(value) == at_default[field.name]):
                continue
            self.refuse(field.name, "this field is not supported")

    def has(self, name: str) -> bool:
        """Whether a field is set: present, or not its type's zero value where protobuf keeps no presence."""
        if self.message.DESCRIPTOR.fields_by_name[name].has_presence:
            return bool(self.message.HasField(name))
        return bool(getattr(self.message, name))

    def which(self, oneof: str) -> str:
        """The member of a oneof that is set, or an empty string."""
        return self.message.WhichOneof(oneof) or ""

    def child(self, name: str) -> "Reader | None":
        """A reader of a sub-message, or None when it is not set."""
        return Reader(getattr(self.message, name), self.at(name), self.problems) if self.message.HasField(name) else None

    def items(self, name: str) -> "list[Reader]":
        """Readers of a repeated sub-message."""
        path = self.at(name)
        return [Reader(item, f"{path}[{index}]", self.problems) for index, item in enumerate(getattr(self.message, name))]

    def seconds(self, name: str, default: float) -> float:
        """A Duration in seconds; a negative one is a problem."""
        if not self.message.HasField(name):
            return default
        value = getattr(self.message, name)
        seconds = float(value.seconds + value.nanos / 1e9)
        if seconds < 0:
            self.refuse(name, f"{seconds:g} s is negative")
        return seconds

    def wrapped(self, name: str, default: T) -> T:
        """The value of a wrapper message (UInt32Value, BoolValue) or a default."""
        return getattr(self.message, name).value if self.message.HasField(name) else default

    def choice(self, name: str) -> str:
        """The name of an enum's value; empty when this build does not know it (constraints have reported it)."""
        number = getattr(self.message, name)
        value = self.message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number.get(number)
        return value.name if value else ""

    def extension(self, name: str = "typed_config") -> "Reader | None":
        """A reader of the message inside an `Any`; None, with a problem, when it is missing, unknown or does not parse."""
        packed = getattr(self.message, name)
        if not packed.type_url:
            self.refuse(name, "a typed_config with a type URL is needed")
            return None
        return self.unpacked(packed, self.at(name))

    def unpacked(self, packed: Any, path: str) -> "Reader | None":
        """A reader of the message inside an `Any` that stands at a path, its constraints checked."""
        try:
            message = proto.unpack(packed)
        except proto.UnknownType:
            self.problems.append(Problem(path, self._unimplemented(packed.type_url)))
            return None
        except DecodeError:
            self.problems.append(Problem(path, f"the bytes are no {packed.type_url}"))
            return None
        constraints.check(message, path, self.problems)
        return Reader(message, path, self.problems)

    def no_implementation(self, name: str, type_url: str) -> None:
        """Report an extension that nothing here implements, in Envoy's words."""
        self.refuse(name, self._unimplemented(type_url))

    def _unimplemented(self, type_url: str) -> str:
        return f"no implementation of {getattr(self.message, 'name', '')!r} with type URL {type_url!r}"

    def extend(self, table: "Mapping[str, Callable[[Reader], T]]") -> T | None:
        """Compile this message's `typed_config` with the entry of its type (a message's full name); None, with a problem, if none."""
        reader = self.extension()
        if reader is None:
            return None
        build = table.get(reader.kind)
        if build is None:
            self.no_implementation("typed_config", self.message.typed_config.type_url)
            return None
        return build(reader)

    @property
    def kind(self) -> str:
        """The message's full protobuf name."""
        return str(self.message.DESCRIPTOR.full_name)


def compiled(message: Any, build: Callable[[Reader], T]) -> T:
    """Check a resource's constraints, build its runtime object, and raise ConfigError with every problem that came up."""
    problems: list[Problem] = []
    constraints.check(message, "", problems)
    value = build(Reader(message, "", problems))
    if problems:
        raise ConfigError(*problems)
    return value


def digest(message: Any) -> bytes:
    """Equal for two messages whose bytes are equal."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def _plain(value: Any) -> Any:
    """A wrapper's value, a Duration's seconds, or the value itself."""
    kind = getattr(getattr(value, "DESCRIPTOR", None), "full_name", "")
    if kind == "google.protobuf.Duration":
        return value.seconds + value.nanos / 1e9
    return value.value if kind.startswith("google.protobuf.") and kind.endswith("Value") else value
