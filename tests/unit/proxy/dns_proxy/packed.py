"""Addresses of the name table from their texts."""

import ipaddress

from pymesh_proxy.dns_proxy.table import Addresses


def packed(*texts: str) -> Addresses:
    found = list(map(ipaddress.ip_address, texts))
    v4, v6 = (tuple(one.packed for one in found if one.version == version) for version in (4, 6))
    return Addresses(v4, v6)
