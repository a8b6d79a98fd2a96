"""One address of a cluster at run time: its counters, its pools, and whether it may be sent anything."""

import enum
from typing import TYPE_CHECKING

from .config import EndpointConfig, Health

if TYPE_CHECKING:
    from ..tls.contexts import ClientTls
    from ..tls.override import TlsOverride
    from .exclusive import ExclusivePool
    from .shared import SharedPool
    from .watch import Watch


class Standing(enum.Enum):
    """What balancing makes of an endpoint."""

    HEALTHY = 0
    DEGRADED = 1
    """Only where too few are healthy."""
    UNHEALTHY = 2
    """Only in a panic."""


_STANDINGS = {
    Health.UNKNOWN: Standing.HEALTHY,
    Health.HEALTHY: Standing.HEALTHY,
    Health.UNHEALTHY: Standing.UNHEALTHY,
    Health.DRAINING: Standing.UNHEALTHY,
    Health.TIMEOUT: Standing.UNHEALTHY,
    Health.DEGRADED: Standing.DEGRADED,
}


class Overridden:
    """The pools of an endpoint for requests that ask for something else of TLS than their cluster does."""

    __slots__ = ("high_pool", "high_streams", "pool", "streams")

    def __init__(self) -> None:
        self.pool: ExclusivePool | None = None
        self.streams: SharedPool | None = None
        self.high_pool: ExclusivePool | None = None
        self.high_streams: SharedPool | None = None


class Endpoint:
    """One address at run time; its counters are those of Envoy's /clusters."""

    __slots__ = (
        "address", "config", "cx_active", "cx_connect_fail", "cx_total", "degraded_check", "ejected", "failed_check", "healthy_since",
        "high_pool", "high_streams", "leaving", "overridden", "pool", "rq_active", "rq_error", "rq_pending_active", "rq_success",
        "rq_timeout", "rq_total", "streams", "tls", "unjudged", "watch",
    )  # fmt: skip

    def __init__(self, config: EndpointConfig, tls: "ClientTls | None") -> None:
        # First what requests ask and count: compiled, attributes lie in this order, and where a thousand endpoints take turns, each line
        # of the processor's cache that a request touches is fetched from memory (docs/BENCHMARKS.md).
        self.rq_active = 0
        self.pool: ExclusivePool | None = None
        """Connections that carry one exchange at a time."""
        self.streams: SharedPool | None = None
        """Connections that carry many."""
        self.watch: Watch | None = None
        """What learns from the traffic how it is, where the cluster asks for that."""
        self.rq_total = self.rq_success = 0
        self.address = config.address
        self.config = config
        self.tls = tls
        self.high_pool: ExclusivePool | None = None
        self.high_streams: SharedPool | None = None
        """Those of routes of the priority HIGH, which have limits of their own."""
        self.overridden: dict[TlsOverride, Overridden] | None = None
        """Those of requests that ask for something else of TLS, by what they ask for."""
        self.ejected = False
        """Outlier detection has taken it out for a while."""
        self.failed_check = False
        """Active health checks have found it sick."""
        self.degraded_check = False
        """They have heard from it that it is degraded."""
        self.healthy_since = 0.0
        """`time.monotonic()` of when it became healthy, from which slow start counts; 0 until somebody asks."""
        self.leaving = False
        """Discovery has removed it; it stays until checks find it sick."""
        self.unjudged = False
        """Active health checks have yet to look at it, or it has asked them to be left alone."""
        self.cx_active = self.cx_connect_fail = self.cx_total = 0
        self.rq_error = self.rq_pending_active = self.rq_timeout = 0

    def __repr__(self) -> str:
        return f"<Endpoint {self.config.address} {self.config.health.name} active={self.rq_active}>"

    @property
    def standing(self) -> Standing:
        """What configuration, active checks and outlier detection together say of it (Envoy's coarse health)."""
        if self.ejected or self.failed_check:
            return Standing.UNHEALTHY
        standing = _STANDINGS[self.config.health]
        return Standing.DEGRADED if self.degraded_check and standing is Standing.HEALTHY else standing

    @property
    def health(self) -> Health:
        """Its state in the words of the configuration: what that says, if it is bad, else what the checks here have found."""
        told = self.config.health
        if _STANDINGS[told] is Standing.UNHEALTHY:
            return told
        if self.ejected or self.failed_check:
            return Health.UNHEALTHY
        return Health.DEGRADED if self.degraded_check else told

    @property
    def excluded(self) -> bool:
        """Whether it does not count as a member when it is asked what part of them is usable."""
        return self.unjudged or self.config.health is Health.DRAINING

    def move(self, config: EndpointConfig) -> None:
        """The same endpoint at another address: connections from now on go there, those that stand stay."""
        self.config = config
        self.address = config.address

    def asked_for(self, override: "TlsOverride") -> Overridden:
        """The pools of requests that ask for this."""
        if self.overridden is None:
            self.overridden = {}
        found = self.overridden.get(override)
        if found is None:
            found = self.overridden[override] = Overridden()
        return found

    def leave_connections(self) -> None:
        """Its connections close as soon as they are idle; requests from now on open new ones."""
        for pool in (self.pool, self.streams, self.high_pool, self.high_streams):
            if pool is not None:
                pool.close()
        self.pool = self.high_pool = None
        self.streams = self.high_streams = None
        others, self.overridden = self.overridden, None
        for other in (others or {}).values():
            for pool in (other.pool, other.streams, other.high_pool, other.high_streams):
                if pool is not None:
                    pool.close()
