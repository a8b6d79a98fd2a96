"""Virtual IPs for ServiceEntries that have none, from the blocks that Istio takes them from.

Where a service begins to look follows from its name alone, and of two that begin at one place the elder has it: addresses stay
the same through restarts, and whatever comes later.
"""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import replace

from pymesh.api import hosts

from .service import Service

_HOSTS = 254
"""Of a /24: the addresses that end in 0 and 255 are left alone."""
SIZE = 256 * _HOSTS
"""How many services can be given addresses."""


def allocated(services: Iterable[Service]) -> tuple[Service, ...]:
    """The services in the same order, the elder first, those that can have an address of the mesh's own with it.

    What a service's status says that it was given stands, unless an elder one was given the same.
    """
    found = list(services)
    recorded: set[str] = set()
    for index, one in enumerate(found):
        if _is_eligible(one) and one.recorded and recorded.isdisjoint(one.recorded):
            recorded |= set(one.recorded)
            found[index] = replace(one, allocated=one.recorded)
    taken = {number for number in map(_number, recorded) if number is not None}
    for index, one in enumerate(found):
        if _is_eligible(one) and not one.allocated and len(taken) < SIZE:
            number = _free(one, taken)
            taken.add(number)
            found[index] = replace(one, allocated=_addresses(number))
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


def _number(address: str) -> int | None:
    """Of which number an address is one; None for those that are not from here."""
    value = ipaddress.ip_address(address)
    block, host = divmod(int(value) & 0xFFFF, 256)
    number = block * _HOSTS + host - 1
    return number if 0 < host <= _HOSTS and address in _addresses(number) else None


def _addresses(number: int) -> tuple[str, str]:
    """Of 240.240.0.0/16 and of 2001:2::/48."""
    block, host = divmod(number, _HOSTS)
    return f"240.240.{block}.{host + 1}", f"2001:2::f0f0:{block << 8 | host + 1:x}"
