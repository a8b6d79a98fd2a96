"""The levels a route stands in (table, virtual host, route, weighted cluster) and what it inherits from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..filters.chain import Override, Overrides
from ..route import edits
from ..route.edits import Level
from ..route.table import Edit
from . import headers, overrides
from .fields import Reader


@dataclass(frozen=True, slots=True)
class Levels:
    """Header mutations and filters' configuration of the levels around a point, most specific first, and the virtual host's switches."""

    request: tuple[Level, ...] = ()
    response: tuple[Level, ...] = ()
    filters: tuple[Mapping[str, Override], ...] = ()
    most_specific_wins: bool = False
    """The most specific level is written last."""
    attempt_count_in_request: bool = False
    attempt_count_in_response: bool = False

    def within(self, reader: Reader) -> "Levels":
        """One level deeper, with what a message says."""
        return replace(
            self,
            request=(headers.request_level(reader), *self.request),
            response=(headers.response_level(reader), *self.response),
            filters=(overrides.level(reader), *self.filters),
        )

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
