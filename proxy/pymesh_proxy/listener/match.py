"""Which filter chain a connection belongs to: Envoy's stepwise narrowing, most specific first, no way back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .config import FilterChain


@dataclass(slots=True, kw_only=True)
class Traits:
    """What is known of a connection when its chain is chosen."""

    destination_ip: str
    destination_port: int
    source_ip: str
    source_port: int
    server_name: str = ""
    transport_protocol: str = "raw_buffer"
    application_protocols: tuple[str, ...] = ()


class ChainMatcher(Protocol):
    """The compiled decision of one listener."""

    def find(self, traits: Traits) -> "FilterChain | None":
        """The chain, the default chain, or None: the connection is refused (flag NR)."""
