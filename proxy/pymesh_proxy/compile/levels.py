"""The levels a route stands in (table, virtual host, route, weighted cluster) and what it inherits from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..filters.chain import Override, Overrides
from ..filters.descriptors import Rule
from ..route import edits
from ..route.edits import Level
from ..route.table import Edit
from . import headers, overrides
from .fields import Reader
from .mirror import Policy, policies


@dataclass(frozen=True, slots=True)
class Levels:
    """Header mutations and filters' configuration of the levels around a point, most specific first, and the virtual host's switches."""

    request: tuple[Level, ...] = ()
    response: tuple[Level, ...] = ()
    filters: tuple[Mapping[str, Override], ...] = ()
    most_specific_wins: bool = False
    """The most specific level is written last."""
    mirrors: tuple[Policy, ...] = ()
    """Where copies go, as the innermost level that says anything about it says."""
    attempt_count_in_request: bool = False
    attempt_count_in_response: bool = False
    asks: bool = False
    """A level gives requests headers that say how they are tried."""
    body_limit: int | None = None
    body_cap: int | None = None
    rate_limits: tuple[Rule, ...] = ()
    """The virtual host's."""

    def within(self, reader: Reader) -> "Levels":
        """One level deeper, with what a message says."""
        return replace(
            self,
            request=(headers.request_level(reader), *self.request),
            response=(headers.response_level(reader), *self.response),
            filters=(overrides.level(reader), *self.filters),
            asks=self.asks or adds_request_policy(reader.message),
        )

    def buffering(self, reader: Reader) -> "Levels":
        """One level deeper, with a message's limits of the bodies that are kept; the newer field replaces the older."""
        return replace(
            self,
            body_limit=reader.wrapped("request_body_buffer_limit", self.body_limit),
            body_cap=reader.wrapped("per_request_buffer_limit_bytes", self.body_cap),
        )

    def mirroring(self, reader: Reader) -> "Levels":
        """With the mirror policies of a message, if it has any."""
        return replace(self, mirrors=policies(reader) or self.mirrors)

    def request_edit(self) -> Edit | None:
        """All levels' mutations of a request in Envoy's order."""
        return edits.request_edit(self._ordered(self.request))

    def response_edit(self) -> Edit | None:
        """All levels' mutations of a response in Envoy's order."""
        return edits.response_edit(self._ordered(self.response))

    def overrides(self) -> Overrides | None:
        """What all levels say of filters."""
        return overrides.merged(self.filters)

    def _ordered(self, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        return levels[::-1] if self.most_specific_wins else levels


def adds_request_policy(message: Any) -> bool:
    """Whether a message adds headers to requests that `http.request_policy` reads."""
    return any(option.header.key.lower().startswith("x-envoy-") for option in message.request_headers_to_add)
