"""Virtual IPs for ServiceEntries that have none, from the blocks that Istio takes them from.

Where a service begins to look follows from its name alone, and of two that begin at one place the elder has it: addresses stay
the same through restarts, and whatever comes later.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from pymesh.api import hosts

from .service import Service

_HOSTS = 254
"""Of a /24: the addresses that end in 0 and 255 are left alone."""
SIZE = 256 * _HOSTS
"""How many services can be given addresses."""


def allocated(services: Iterable[Service]) -> tuple[Service, ...]:
    """The services in the same order, the elder first, those that can have an address of the mesh's own with it."""
    taken: set[int] = set()
    found = []
    for one in services:
        number = _free(one, taken) if _is_eligible(one) and len(taken) < SIZE else None
        if number is not None:
            taken.add(number)
            one = replace(one, allocated=_addresses(number))
        found.append(one)
    return tuple(found)


def _is_eligible(service: Service) -> bool:
    """With resolution NONE connections go on to the address that was called, which nobody has."""
    return service.wants_address and not service.addresses and service.resolution != "NONE" and not hosts.is_wildcard(service.host)


def _free(service: Service, taken: set[int]) -> int:
    digest = hashlib.blake2b(f"{service.namespace}/{service.host}".encode(), digest_size=8).digest()
    number = int.from_bytes(digest) % SIZE
    while number in taken:
        number = (number + 1) % SIZE
    return number


def _addresses(number: int) -> tuple[str, str]:
    """Of 240.240.0.0/16 and of 2001:2::/48."""
    block, host = divmod(number, _HOSTS)
    return f"240.240.{block}.{host + 1}", f"2001:2::f0f0:{block << 8 | host + 1:x}"
