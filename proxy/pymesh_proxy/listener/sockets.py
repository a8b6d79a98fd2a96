"""The sockets of listeners: opened with what their configuration asks of the kernel, and what the kernel says of accepted ones."""

import ipaddress
import socket
import struct

from . import transparent
from .config import ListenerConfig

_SO_ORIGINAL_DST = 80
"""linux/netfilter_ipv4.h; the same number for IPv6."""

_IPV6_FREEBIND = 78
"""linux/in6.h; Python does not name it, nor its IPv4 twin before 3.14."""
_IP_FREEBIND = 15


def open_socket(config: ListenerConfig, address: tuple[str, int] | None = None, *, reuse_port: bool) -> socket.socket:
    """A socket bound to a listener's first address, or to the given one of them; raises OSError.

    `reuse_port` when there are several workers: else a second process would take the same port and nobody would be told.
    """
    address = address or (config.host, config.port)
    six = ":" in address[0]
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port and config.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # ipv4_compat is not offered
        if config.transparent:
            transparent.allow(sock)
        if config.freebind:
            sock.setsockopt(*((socket.IPPROTO_IPV6, _IPV6_FREEBIND) if six else (socket.IPPROTO_IP, _IP_FREEBIND)), 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def original_destination(sock: socket.socket) -> tuple[str, int] | None:
    """The address that iptables REDIRECT replaced; None when there is no such record."""
    try:
        if sock.family == socket.AF_INET6:
            raw = sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
            port, _, address = struct.unpack_from("!2xHI16s", raw)
            return str(ipaddress.IPv6Address(address)), port
        raw = sock.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
        port, address = struct.unpack_from("!2xH4s", raw)
        return str(ipaddress.IPv4Address(address)), port
    except OSError:
        return None
