"""Ports on loopback: finding free ones, and saying early and clearly that a wanted one cannot be had."""

import errno
import random
import socket
import sys

from .errors import NoFreePort, PortForbidden, PortTaken

HOST = "127.0.0.1"

# Below Linux's ephemeral range (32768 and up): a port drawn here is not lost to somebody's outgoing connection
# between the moment it is found free and the moment the child process binds it.
_POOL = range(20000, 31000)


class FreePorts:
    """Hands out ports that nobody listens on, none twice, and none that another mesh of this machine was given."""

    def __init__(self, pool: range = _POOL) -> None:
        self._candidates = iter(random.sample(pool, len(pool)))

    def take(self) -> int:
        """The next free port; raises NoFreePort."""
        for port in self._candidates:
            if _bind_error(port) is None and _claim(port):
                return port
        raise NoFreePort("no free port is left on 127.0.0.1 between 20000 and 31000")


def require_free(port: int, purpose: str) -> None:
    """Raise PortTaken or PortForbidden, naming the purpose, when `port` cannot be listened on."""
    match _bind_error(port):
        case None:
            return
        case errno.EACCES:
            raise PortForbidden(HOST, port, purpose)
        case _:
            raise PortTaken(HOST, port, purpose)


def _claim(port: int) -> bool:
    """Take a port for the life of this process, so that no other mesh does while the process that listens on it is restarted.

    The claim is an abstract socket's name, where the kernel has such (Linux): it leaves no file and ends with the process.
    """
    if sys.platform != "linux":
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
        try:
            claim.bind(f"\0pymesh-port-{port}")
        except OSError:
            return False
        claim.detach()  # not closed below: it stays until the process ends
    return True


def _bind_error(port: int) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT from a former run do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            return error.errno
    return None
