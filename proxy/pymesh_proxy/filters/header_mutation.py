"""Headers that requests and answers lose and get on their way. Envoy's `envoy.filters.http.header_mutation`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..route.edits import Level, request_edit, response_edit

if TYPE_CHECKING:
    from ..http.exchange import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutations:
    """Single mutations in their order: each sees what those before it have made of the headers."""

    request: tuple[Level, ...] = ()
    response: tuple[Level, ...] = ()

    def then(self, later: "Mutations") -> "Mutations":
        """These, and others behind them."""
        return Mutations(request=self.request + later.request, response=self.response + later.response)


@dataclass(frozen=True, slots=True)
class RouteMutations:
    """What a route and the levels around it say, the most specific first."""

    levels: tuple[Mutations, ...]

    def over(self, outer: "RouteMutations") -> "RouteMutations":
        """This with what a level further out says besides."""
        return RouteMutations(self.levels + outer.levels)


class HeaderMutationFilter:
    """Its own mutations come first, then those of the levels: the one that comes last has the last word."""

    __slots__ = ("_most_specific_wins", "_mutations", "_request", "_response")

    def __init__(self, mutations: Mutations, *, most_specific_wins: bool) -> None:
        self._mutations = mutations
        self._most_specific_wins = most_specific_wins
        self._request = request_edit(mutations.request)
        self._response = response_edit(mutations.response)

    def __repr__(self) -> str:
        return f"<HeaderMutationFilter {self._mutations!r}>"

    def for_route(self, config: object) -> "HeaderMutationFilter":
        if not isinstance(config, RouteMutations):
            return self
        mutations = self._mutations
        for level in reversed(config.levels) if self._most_specific_wins else config.levels:
            mutations = mutations.then(level)
        return HeaderMutationFilter(mutations, most_specific_wins=self._most_specific_wins)

    def on_request(self, exchange: "Exchange") -> None:
        if self._request is not None:
            self._request(exchange)

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: the request has been edited."""

    def on_response(self, exchange: "Exchange") -> None:
        if self._response is not None:
            self._response(exchange)

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing: nothing is remembered."""
