"""The filters of a connection manager, and which of them run on a route with which configuration."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..route.table import RouteTable
    from . import HttpFilter


class Override:
    """What a route, or a level around it, says of one filter."""

    __slots__ = ("config", "disabled")

    def __init__(self, config: object = None, *, disabled: bool = False) -> None:
        self.config = config
        """What the filter makes of it (`HttpFilter.for_route`); None leaves the filter's own, or that of a level further out."""
        self.disabled = disabled

    def __repr__(self) -> str:
        return f"<Override {'off' if self.disabled else self.config!r}>"


class Overrides:
    """What a route and the levels around it say of filters, by the filters' names."""

    __slots__ = ("by_name",)

    def __init__(self, by_name: Mapping[str, Override]) -> None:
        self.by_name = by_name

    def __repr__(self) -> str:
        return f"<Overrides {self.by_name!r}>"


class Link:
    """One filter in its place. A `disabled` one runs on routes that say something else of it."""

    __slots__ = ("disabled", "filter", "name")

    def __init__(self, name: str, http_filter: "HttpFilter", *, disabled: bool = False) -> None:
        self.name = name
        self.filter = http_filter
        self.disabled = disabled


class FilterChain:
    """A manager's filters in their order, the router left out."""

    __slots__ = ("_made", "_table", "default", "links")

    def __init__(self, links: tuple[Link, ...] = ()) -> None:
        self.links = links
        self.default: tuple[HttpFilter, ...] = tuple(link.filter for link in links if not link.disabled)
        """What runs where a route says nothing of filters."""
        self._table: RouteTable | None = None
        self._made: dict[Overrides, tuple[HttpFilter, ...]] = {}
        """What was put together for the routes of that table."""

    def on(self, table: "RouteTable", overrides: Overrides) -> "tuple[HttpFilter, ...]":
        """The filters that run on a route of a table; put together once, when a request first comes to it."""
        if table is not self._table:
            self._table = table
            self._made = {}
        made = self._made.get(overrides)
        if made is None:
            made = self._made[overrides] = tuple(self._bound(overrides.by_name))
        return made

    def _bound(self, by_name: Mapping[str, Override]) -> "list[HttpFilter]":
        bound: list[HttpFilter] = []
        for link in self.links:
            override = by_name.get(link.name)
            if override is None:
                if not link.disabled:
                    bound.append(link.filter)
            elif not override.disabled:
                bound.append(link.filter if override.config is None else link.filter.for_route(override.config))
        return bound
