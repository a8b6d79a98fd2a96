"""Rate limits' descriptors: what a route's rules (`rate_limits`) say of a request, by which requests are counted together."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..http.exchange import Exchange

Entry = tuple[str, str]
Entries = tuple[Entry, ...]

Action = "Callable[[Exchange, str], Entry | bool]"
"""Makes one entry of an exchange and our own cluster's name; True for none in a descriptor that goes on, False for no descriptor."""


class Descriptor:
    """What one rule says of one request."""

    __slots__ = ("entries", "hits")

    def __init__(self, entries: Entries, hits: int = 0) -> None:
        self.entries = entries
        self.hits = hits
        """How many requests this one counts as; 0 where the rule does not say."""

    def __repr__(self) -> str:
        return f"<Descriptor {self.entries!r} {self.hits or ''}>"


class Rule:
    """One element of `rate_limits`: the actions that make a descriptor, for the filters of one stage."""

    __slots__ = ("_actions", "_hits", "stage")

    def __init__(self, actions: "tuple[Callable[[Exchange, str], Entry | bool], ...]", *, stage: int = 0, hits: int = 0) -> None:
        self._actions = actions
        self._hits = hits
        self.stage = stage

    def describe(self, exchange: "Exchange", own_cluster: str) -> Descriptor | None:
        """The descriptor of a request; None when an action finds nothing, or all have nothing to say."""
        entries: list[Entry] = []
        for action in self._actions:
            made = action(exchange, own_cluster)
            if isinstance(made, tuple):
                entries.append(made)
            elif not made:
                return None
        return Descriptor(tuple(entries), self._hits) if entries else None


OVERRIDE, INCLUDE, IGNORE = 0, 1, 2
"""vh_rate_limits: the virtual host's rules count where the route has none; always; never."""


class RateLimits:
    """The rules of a route and of its virtual host."""

    __slots__ = ("_host", "_includes", "_route")

    def __init__(self, route: tuple[Rule, ...], host: tuple[Rule, ...], *, includes: bool = False) -> None:
        """`includes`: the route itself says that both count, whatever a filter says."""
        self._route = route
        self._host = host
        self._includes = includes

    def rules(self, host_option: int) -> tuple[Rule, ...]:
        """Those that count for a filter."""
        if self._includes or host_option == INCLUDE:
            return self._route + self._host
        return self._route if host_option == IGNORE else self._route or self._host


def describe(rules: tuple[Rule, ...], stage: int, exchange: "Exchange", own_cluster: str) -> list[Descriptor]:
    """The descriptors of a request for the filters of a stage."""
    made = [rule.describe(exchange, own_cluster) for rule in rules if rule.stage == stage]
    return [descriptor for descriptor in made if descriptor is not None]


def of_route(exchange: "Exchange", host_option: int) -> tuple[Rule, ...]:
    """The rules of the exchange's route that count for a filter; only routes that lead to a cluster have any."""
    action = exchange.route.action if exchange.route is not None else None
    limits = getattr(action, "rate_limits", None)
    return limits.rules(host_option) if isinstance(limits, RateLimits) else ()
