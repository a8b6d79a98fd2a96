"""Where connection managers find their routes. A room of its own, as it is weakly referred to and interpreted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..route.table import RouteTable


@dataclass(slots=True, weakref_slot=True)
class RouteSlot:
    """Where a manager finds its routes: swapped by one assignment when RDS brings a new table; None until the first."""

    name: str
    table: "RouteTable | None" = None
