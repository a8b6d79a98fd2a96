"""Mutations of headers by a filter of their own, of a manager or of a route."""

from typing import TYPE_CHECKING

from ..filters.header_mutation import HeaderMutationFilter, Mutations, RouteMutations
from ..route.edits import Level
from .fields import Reader
from .headers import addition, check_removable

if TYPE_CHECKING:
    from .http_filters import Manager


def header_mutation_filter(reader: Reader, manager: "Manager") -> HeaderMutationFilter:
    """A HeaderMutation message."""
    reader.only("mutations", "most_specific_header_mutations_wins")
    return HeaderMutationFilter(_mutations(reader), most_specific_wins=reader.message.most_specific_header_mutations_wins)


def route_mutations(reader: Reader) -> RouteMutations:
    """A HeaderMutationPerRoute."""
    reader.only("mutations")
    return RouteMutations((_mutations(reader),))


def _mutations(reader: Reader) -> Mutations:
    both = reader.child("mutations")
    if both is None:
        return Mutations()
    both.only("request_mutations", "response_mutations")
    return Mutations(request=_each(both, "request_mutations"), response=_each(both, "response_mutations"))


def _each(reader: Reader, field: str) -> tuple[Level, ...]:
    return tuple(level for item in reader.items(field) if (level := _mutation(item)))


def _mutation(reader: Reader) -> Level:
    """A level of one mutation, so that each is made of what the one before it has left."""
    reader.only("remove", "append")
    if reader.message.WhichOneof("action") == "remove":
        check_removable(reader, "remove", reader.message.remove)
        return Level(remove=(reader.message.remove.lower().encode(),))
    own = reader.child("append")
    added = addition(own) if own is not None else None
    return Level(add=(added,) if added is not None else ())
