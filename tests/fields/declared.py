"""What the compilers say of each field when a message comes their way: recorded at `Reader.only`, which every one of them calls."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from pymesh_proxy.compile.fields import Reader

WHOLE = frozenset({"envoy.config.core.v3.Metadata"})
"""Passed on as they are, whatever is in them."""


@dataclass(frozen=True)
class Declaration:
    """One call of `Reader.only` for one kind of message."""

    honoured: frozenset[str]
    harmless: tuple[tuple[str, str], ...]
    at_default: tuple[tuple[str, str], ...]

    @property
    def named(self) -> frozenset[str]:
        """Every field that it names."""
        return self.honoured | dict(self.harmless).keys() | dict(self.at_default).keys()


@dataclass
class Declared:
    """All of them, by the message's full name; `types` holds the descriptors."""

    by_kind: dict[str, set[Declaration]] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)

    def inner(self, kind: str, name: str) -> str:
        """The full name of the message that a field holds; empty for a plain value."""
        message = message_in(self.types[kind].fields_by_name[name])
        return "" if message is None else str(message.full_name)

    def add(self, other: "Declared") -> None:
        """Take over what another knows."""
        self.types |= other.types
        for kind, said in other.by_kind.items():
            self.by_kind.setdefault(kind, set()).update(said)

    def refuses(self, kind: str, name: str) -> bool:
        """Whether a field is refused wherever such a message is read."""
        said = self.by_kind.get(kind)
        return bool(said) and not any(name in each.honoured for each in said)

    def note(
        self, descriptor: Any, honoured: tuple[str, ...], harmless: Mapping[str, str] | None, at_default: Mapping[str, Any] | None
    ) -> None:
        """One more call."""
        said = Declaration(
            frozenset(honoured),
            tuple(sorted((harmless or {}).items())),
            tuple(sorted((name, _spelled(value)) for name, value in (at_default or {}).items())),
        )
        self.by_kind.setdefault(descriptor.full_name, set()).add(said)
        self.types[descriptor.full_name] = descriptor


def message_in(field: Any) -> Any:
    """The type of a field's message, or of a map's values; None for plain values."""
    if field.message_type is None:
        return None
    if field.message_type.GetOptions().map_entry:
        return field.message_type.fields_by_name["value"].message_type
    return field.message_type


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def recording(into: Declared) -> Iterator[None]:
    """Everything that is compiled inside tells `into` what it knows."""
    real = Reader.only

    def only(
        self: Reader, *honoured: str, harmless: Mapping[str, str] | None = None, at_default: Mapping[str, Any] | None = None
    ) -> None:
        into.note(self.message.DESCRIPTOR, honoured, harmless, at_default)
        real(self, *honoured, harmless=harmless, at_default=at_default)

    with mock.patch.object(Reader, "only", only):
        yield
