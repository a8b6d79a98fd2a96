"""How the names of a cluster or of a cache are looked up, compiled and immutable. Times are seconds."""

import enum
from dataclasses import dataclass


class Family(enum.Enum):
    """Which addresses of a name are used (Envoy's DnsLookupFamily)."""

    AUTO = 0
    """IPv6; IPv4 where there is none."""
    V4_ONLY = 1
    V6_ONLY = 2
    V4_PREFERRED = 3
    """IPv4; IPv6 where there is none."""
    ALL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServers:
    """Whom to ask instead of the system, and how."""

    addresses: tuple[tuple[str, int], ...] = ()
    """IP and port; empty means those of the system's configuration."""
    tcp: bool = False
    search: bool = True
    """Whether the system's search domains complete short names."""
    timeout: float = 5.0
    """For one question to one server."""
    tries: int = 4
    rotate: bool = False
    payload: int = 0
    """Bytes that answers over UDP may have, told by EDNS; 0 says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """A DNS cluster's settings, with Envoy's defaults."""

    refresh: float = 5.0
    jitter: float = 0.0
    """A refresh comes up to so much later."""
    failure_base: float = 0.0
    """Back-off between failed look-ups; 0 keeps the refresh rate."""
    failure_max: float = 0.0
    respect_ttl: bool = False
    family: Family = Family.AUTO
    servers: NameServers | None = None
    """None asks the system (getaddrinfo), which knows hosts files, too."""
    one_endpoint: bool = False
    """All addresses of a name are one endpoint's (LOGICAL_DNS, all_addresses_in_single_endpoint)."""
    wait: bool = True
    """The cluster is warm when a name of it has been looked up, rather than at once (wait_for_warm_on_init)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsCacheConfig:
    """A cache of hosts that requests name, with Envoy's defaults."""

    name: str
    family: Family = Family.AUTO
    servers: NameServers | None = None
    refresh: float = 60.0
    """Until a host is looked up again that has no addresses, or whose look-up failed."""
    min_refresh: float = 5.0
    """However short the time to live of its addresses is, a host is not looked up again sooner."""
    failure_base: float = 0.0
    """Back-off between failed look-ups; 0 keeps the refresh rate."""
    failure_max: float = 0.0
    refreshes_failed: bool = True
    """Whether a host whose look-up failed is looked up again by and by, rather than when it is asked for again."""
    query_timeout: float = 5.0
    """For one look-up; 0 for no limit."""
    host_ttl: float = 300.0
    """A host that nothing was sent to for so long is forgotten."""
    max_hosts: int = 1024
    max_pending: int = 1024
    """Requests and connections that wait for look-ups."""
    preresolved: tuple[tuple[str, int], ...] = ()
    """Names and ports that are looked up before anybody asks for them."""
