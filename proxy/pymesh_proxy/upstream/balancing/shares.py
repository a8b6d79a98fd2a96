"""What consistent hashing knows of endpoints: the text that places each, and its share of the load."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config import EndpointConfig
    from ..endpoint import Endpoint

Placed = tuple[tuple[str, float], ...]
"""Key and share of each endpoint, in their order; shares sum to one."""


def placed(endpoints: "Sequence[Endpoint]", shares: Sequence[float] | None, hashes_hostname: bool) -> Placed:
    """`shares` None: each has its weight's part of the sum of the weights."""
    if shares is None:
        total = sum(endpoint.config.weight for endpoint in endpoints)
        shares = [endpoint.config.weight / total for endpoint in endpoints]
    return tuple((place(endpoint.config, hashes_hostname), shares[index]) for index, endpoint in enumerate(endpoints))


def place(config: "EndpointConfig", hashes_hostname: bool) -> str:
    """Metadata `envoy.lb`.`hash_key` where there is one, else the name or the address."""
    return config.hash_key or (config.hostname if hashes_hostname else config.address)
