"""What filters reach for besides the exchange: counters and time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import RateLimitServiceError
from ..upstream.dns_cache import DnsCaches
from .counts import Tallies

if TYPE_CHECKING:
    from .rls import Service


async def no_rate_limit_service(service: "Service", request: Any, patience: float) -> Any:
    """In the place of services where nothing is served."""
    raise RateLimitServiceError(f"{service.cluster}: nothing is asked here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One process's; a filter is given them when it is made."""

    counts: Tallies = field(default_factory=Tallies)
    clock: Callable[[], float] = time.monotonic
    """Seconds, from any beginning."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits for seconds; who is cancelled meanwhile leaves nothing behind."""
    dns_caches: DnsCaches = field(default_factory=DnsCaches)
    """Where hosts are looked up that requests name."""
    own_cluster: str = ""
    """The node's cluster, by which rate limits know where requests come from."""
    workers: int = 1
    """Processes that serve the same traffic: each gives out its part of what is limited."""
    ask_rate_limit: "Callable[[Service, Any, float], Awaitable[Any]]" = no_rate_limit_service
    """Has a rate limit service answer a RateLimitRequest within seconds; raises RateLimitServiceError."""
