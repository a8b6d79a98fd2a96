"""Unix sockets on which the agent serves Envoy, and which only this user may open."""

import os
import socket
from pathlib import Path

import grpc.aio

from ..errors import AgentError

_LONGEST_PATH = 107  # bytes of a Unix socket's address on Linux


def listen(server: grpc.aio.Server, path: Path, what: str) -> None:
    """Have a server that is yet to be started listen at `path` to serve `what`; raises AgentError when the path cannot be used."""
    _check(path, what)
    mask = os.umask(0o177)  # the socket is private from the moment it exists
    try:
        server.add_insecure_port(f"unix:{path}")
    except RuntimeError as error:
        raise AgentError(f"cannot serve {what} at {path}: {error}") from None
    finally:
        os.umask(mask)


def _check(path: Path, what: str) -> None:
    """gRPC would delete a socket that is in the way, and with it take over somebody else's clients."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise AgentError(f"{path} is too long for a Unix socket (at most {_LONGEST_PATH} bytes)")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AgentError(f"{error.filename}: {error.strerror}") from None
    if not path.exists():
        return
    if not path.is_socket():
        raise AgentError(f"{path} is in the way and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise AgentError(f"another process serves {what} at {path}")
