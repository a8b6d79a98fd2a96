"""What Envoys have reported of calls that they did not let through."""

from typing import Any

from ..reports.blocked import Blocked
from .clients import moment


def blockedz(blocked: Blocked) -> list[dict[str, Any]]:
    """Each destination, the one that was called last first."""
    return [
        {
            "protocol": one.protocol,
            "host": one.host,
            "port": one.port,
            "calls": told["calls"],
            "last": moment(told["last"]),
            "sources": told["sources"],
        }
        for one, told in blocked.told()
    ]
