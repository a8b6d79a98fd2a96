"""File descriptors: connections are refused while some are left, so that those already taken can be served.

Where a process runs out of them, the kernel can neither accept nor connect, and the loop closes what waits without a word.
The number of a descriptor tells how many are in use, because the kernel gives the lowest that is free.
"""

import resource

RESERVE = 256
"""Descriptors kept for upstream connections, the control plane, the admin interface and files; an eighth where fewer may be had."""


class Capacity:
    """What this process may open, and how far accepting may go."""

    __slots__ = ("_ceiling", "limit")

    def __init__(self) -> None:
        self._look()

    def __repr__(self) -> str:
        return f"<Capacity {self._ceiling} of {self.limit} descriptors for connections>"

    def _look(self) -> None:
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._ceiling = self.limit - min(RESERVE, self.limit // 8)

    def admits(self, descriptor: int) -> bool:
        """Whether a connection that got this descriptor may stay."""
        if descriptor < self._ceiling:
            return True
        self._look()  # the limit may have been raised meanwhile
        return descriptor < self._ceiling
