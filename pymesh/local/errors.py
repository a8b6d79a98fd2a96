"""What can go wrong on a laptop. Each message is one sentence a person can act on; the command line prints it and exits 1."""

from collections.abc import Sequence
from pathlib import Path


class LocalError(Exception):
    """The local mesh cannot do what was asked; the message says why and what to do."""


class PortTaken(LocalError):
    """Another process listens on a port that the mesh needs."""

    def __init__(self, host: str, port: int, purpose: str) -> None:
        super().__init__(f"port {port} on {host}, needed for {purpose}, is taken by another process")


class PortForbidden(LocalError):
    """This user may not listen on a port that the mesh needs."""

    def __init__(self, host: str, port: int, purpose: str) -> None:
        super().__init__(f"this user may not listen on port {port} of {host}, needed for {purpose}; choose a port above 1023")


class NoFreePort(LocalError):
    """Every port of the range that the mesh draws from is in use."""


class ProgramMissing(LocalError):
    """A program that the mesh starts is not there, or may not be executed."""

    def __init__(self, program: str) -> None:
        super().__init__(f"the program {program!r} cannot be found or may not be executed; reinstall pymesh, or correct the command")


class ChildFailed(LocalError):
    """A process of the mesh ended although it was needed."""

    def __init__(self, name: str, exit_code: int, log: Path) -> None:
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"{name} {how}; its log {log} ends with:\n{_tail(log)}")
        self.name = name
        self.exit_code = exit_code


class NotReady(LocalError):
    """A process runs but did not become ready in time."""

    def __init__(self, name: str, seconds: float, url: str, log: Path) -> None:
        super().__init__(f"{name} was not ready ({url}) within {seconds:g} s; its log {log} ends with:\n{_tail(log)}")


class NoFolder(LocalError):
    """There is no place for certificates and logs."""


class InvalidMeshFile(LocalError):
    """`mesh.yaml` has mistakes; the message holds one `file:line:column: error: sentence` a line, all of them at once."""


class InvalidConfig(LocalError):
    """The Istio resources have mistakes; the message holds one line for each, as `pymesh validate` prints them."""


class StoryStuck(LocalError):
    """The demo waited in vain for the mesh to do something."""


class StoryBroken(LocalError):
    """Steps of the demo did not meet their condition."""

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__(f"{len(steps)} of the story's steps did not hold: {'; '.join(steps)}")


def _tail(log: Path, lines: int = 8) -> str:
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"  (unreadable: {error.strerror})"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (nothing was logged)"
