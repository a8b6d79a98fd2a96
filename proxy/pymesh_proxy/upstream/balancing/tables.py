"""Tables of consistent hashes, remembered by what they were made of for as long as somebody uses them.

A cluster shares its load anew whenever an endpoint changes, often enough with a list that it had before, or has twice (the healthy and
all of them). A table depends on nothing but its settings and the endpoints' keys and shares.
"""

from array import array
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary


class Table:
    """For each slot the place of an endpoint in its list. `hashes` are those of a ring's slots, in ascending order."""

    __slots__ = ("__weakref__", "hashes", "owners")

    def __init__(self, owners: "array[int]", hashes: "array[int]") -> None:
        self.owners = owners
        self.hashes = hashes


_tables: WeakValueDictionary[Hashable, Table] = WeakValueDictionary()


def remembered(content: Hashable, make: Callable[[], Table]) -> Table:
    """The table of this content, made if nobody has it."""
    table = _tables.get(content)
    if table is None:
        table = _tables[content] = make()
    return table
