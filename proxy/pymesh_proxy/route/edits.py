"""Header mutations: removals, then overwrites, then additions, level by level."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..http.headers import Headers
from .table import Edit

if TYPE_CHECKING:
    from ..http.exchange import Exchange


class Append(enum.Enum):
    """HeaderValueOption.append_action."""

    APPEND_IF_EXISTS_OR_ADD = 0
    ADD_IF_ABSENT = 1
    OVERWRITE_IF_EXISTS_OR_ADD = 2
    OVERWRITE_IF_EXISTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One header to set or add; `value` is constant bytes or reads the exchange."""

    name: bytes
    value: "bytes | Callable[[Exchange], bytes]"
    action: Append = Append.APPEND_IF_EXISTS_OR_ADD
    keep_empty: bool = False

    def value_for(self, exchange: "Exchange") -> bytes:
        """The value for one exchange."""
        return self.value if isinstance(self.value, bytes) else self.value(exchange)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The mutations of one level: a weighted cluster, a route, a virtual host or a whole table."""

    remove: tuple[bytes, ...] = ()
    add: tuple[Addition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)


def request_edit(levels: Sequence[Level]) -> Edit | None:
    """The levels' mutations of a request, in the order given; None when there are none."""
    active = tuple(level for level in levels if level)
    if not active:
        return None

    def edit(exchange: "Exchange") -> None:
        for level in active:
            _apply(level, exchange.head, exchange)

    return edit


def response_edit(levels: Sequence[Level]) -> Edit | None:
    """The levels' mutations of a response, in the order given; None when there are none."""
    active = tuple(level for level in levels if level)
    if not active:
        return None

    def edit(exchange: "Exchange") -> None:
        if exchange.response is not None:
            for level in active:
                _apply(level, exchange.response, exchange)

    return edit


def removal(test: "Callable[[bytes], bool]") -> Edit:
    """Removes every header of a request whose name, in small letters, passes a test; what makes it a request stays."""

    def edit(exchange: "Exchange") -> None:
        head = exchange.head
        for name in [name for name in head.index if name != b"host" and test(name)]:
            head.remove(name)

    return edit


def chain(first: Edit | None, second: Edit | None) -> Edit | None:
    """One edit after another; either may be missing."""
    if first is None or second is None:
        return first or second

    def edit(exchange: "Exchange") -> None:
        first(exchange)
        second(exchange)

    return edit


def _apply(level: Level, headers: Headers, exchange: "Exchange") -> None:
    """One level: every value is made before the first header of the level is added, as Envoy does."""
    for name in level.remove:
        headers.remove(name)
    overwritten: list[tuple[bytes, bytes]] = []
    added: list[tuple[bytes, bytes]] = []
    for item in level.add:
        value = item.value_for(exchange)
        if not value and not item.keep_empty:
            continue
        exists = headers.get(item.name) is not None
        match item.action:
            case Append.APPEND_IF_EXISTS_OR_ADD:
                added.append((item.name, value))
            case Append.ADD_IF_ABSENT if not exists:
                added.append((item.name, value))
            case Append.OVERWRITE_IF_EXISTS_OR_ADD:
                overwritten.append((item.name, value))
            case Append.OVERWRITE_IF_EXISTS if exists:
                overwritten.append((item.name, value))
    for name, value in overwritten:
        headers.set(name, value)
    for name, value in added:
        headers.add(name, value)
