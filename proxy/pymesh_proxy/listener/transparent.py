"""Sockets that bear addresses of others (Linux's TPROXY): listeners that take connections to any, clients that come from any.

The kernel grants it to whom it lets administer the network (CAP_NET_ADMIN).
"""

import socket

_IPV6_TRANSPARENT = 75
"""linux/in6.h; Python does not name it, nor its IPv4 twin before 3.14."""
_IP_TRANSPARENT = 19


def allow(sock: socket.socket) -> None:
    """Let a socket bind addresses that are not this machine's. Raises PermissionError."""
    six = sock.family == socket.AF_INET6
    sock.setsockopt(*((socket.IPPROTO_IPV6, _IPV6_TRANSPARENT) if six else (socket.IPPROTO_IP, _IP_TRANSPARENT)), 1)


def assume(sock: socket.socket, ip: str, mark: int) -> None:
    """Have a socket that is yet to connect come from an address, its packets marked unless that is 0. Raises OSError."""
    allow(sock)
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    sock.bind((ip, 0))


def permitted() -> bool:
    """Whether this process may have such sockets, marks included."""
    with socket.socket() as sock:
        try:
            allow(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)
        except PermissionError:
            return False
    return True
