"""Addresses: a host and a port, or a Unix socket's path."""

import functools
import ipaddress
from collections.abc import Callable

from .fields import Reader


def socket_address(reader: Reader) -> tuple[str, int]:
    """Host and port of an Address that must be a TCP socket's."""
    reader.only("socket_address")
    if reader.which("address") != "socket_address":
        reader.refuse("", "only a TCP socket_address is supported here")
        return "", 0
    return host_and_port(Reader(reader.message.socket_address, reader.at("socket_address"), reader.problems))


def host_and_port(reader: Reader) -> tuple[str, int]:
    """Host and port of a SocketAddress."""
    reader.only("protocol", "address", "port_value", at_default={"ipv4_compat": False})
    if reader.choice("protocol") != "TCP":
        reader.refuse("protocol", "only TCP is supported")
    if reader.which("port_specifier") == "named_port":
        reader.refuse("named_port", "a number is needed: port_value")
    return reader.message.address, reader.message.port_value


def endpoint_address(reader: Reader) -> tuple[str, int]:
    """Host and port of an endpoint; a pipe is its path and port 0."""
    if reader.which("address") != "pipe":
        return socket_address(reader)
    reader.only("pipe")
    pipe = Reader(reader.message.pipe, reader.at("pipe"), reader.problems)
    pipe.only("path")
    if not pipe.message.path.startswith("/"):
        pipe.refuse("path", "an absolute path is needed")
    return pipe.message.path, 0


def network(reader: Reader) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A CidrRange; host bits beyond the prefix are cleared, as Envoy does. None, with a problem, when it is no network."""
    reader.only("address_prefix", "prefix_len")
    text = f"{reader.message.address_prefix}/{reader.wrapped('prefix_len', 0)}"
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        reader.refuse("", f"{text} is no IP network")
        return None


def internal_addresses(reader: Reader | None) -> Callable[[bytes], bool] | None:
    """An InternalAddressConfig: whether an address, as text, is one of its networks'. None when it has none."""
    if reader is None:
        return None
    reader.only("cidr_ranges", at_default={"unix_sockets": False})
    networks = [found for item in reader.items("cidr_ranges") if (found := network(item)) is not None]
    if not networks:
        return None

    @functools.lru_cache(maxsize=1024)
    def internal(text: bytes) -> bool:
        try:
            address = ipaddress.ip_address(text.decode("latin-1"))
        except ValueError:
            return False
        return any(address in each for each in networks if each.version == address.version)

    return internal
