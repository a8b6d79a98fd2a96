"""The dynamic forward proxy: its cluster, its HTTP filter, its network filter, and the DNS cache that all of them name."""

from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..filters.dynamic_forward_proxy import DynamicForwardProxy, HostOverride
from ..tcp.config import SniLookup
from ..upstream.dns_cache import DnsCache, DnsCaches
from ..upstream.dns_config import DnsCacheConfig
from . import dns
from .context import Context
from .fields import Reader

if TYPE_CHECKING:
    from .http_filters import Manager

_CACHE_FIELDS = (
    "name",
    "dns_lookup_family",
    "dns_refresh_rate",
    "dns_min_refresh_rate",
    "host_ttl",
    "max_hosts",
    "disable_dns_refresh_on_failure",
    "dns_failure_refresh_rate",
    "dns_cache_circuit_breaker",
    "use_tcp_for_dns_lookups",
    "dns_resolution_config",
    "typed_dns_resolver_config",
    "preresolve_hostnames",
    "dns_query_timeout",
)

_UNREAD = {"save_upstream_address": "nothing here reads what it saves"}


def cluster_cache(reader: Reader, caches: DnsCaches) -> DnsCache | None:
    """The cache of a ClusterConfig; None, with a problem, where it has none."""
    reader.only(
        "dns_cache_config",
        "allow_insecure_cluster_options",
        at_default={"allow_coalesced_connections": False},
    )
    return _cache(reader, caches)


def http_filter(reader: Reader, manager: "Manager") -> "DynamicForwardProxy | None":
    """The HTTP filter of a manager."""
    reader.only("dns_cache_config", harmless=_UNREAD, at_default={"allow_dynamic_host_from_filter_state": False})
    cache = _cache(reader, manager.ctx.services.dns_caches)
    return None if cache is None else DynamicForwardProxy(cache)


def host_override(reader: Reader) -> HostOverride:
    """What a route says: another host than the request's."""
    reader.only("host_rewrite_literal", "host_rewrite_header")
    message = reader.message
    return HostOverride(literal=message.host_rewrite_literal.encode(), header=message.host_rewrite_header.lower().encode())


def sni_lookup(reader: Reader, ctx: Context) -> SniLookup | None:
    """The network filter in front of a TcpProxy."""
    reader.only("dns_cache_config", "port_value", harmless=_UNREAD)
    cache = _cache(reader, ctx.services.dns_caches)
    return None if cache is None else SniLookup(cache=cache, port=reader.message.port_value or 443)


def _cache(reader: Reader, caches: DnsCaches) -> DnsCache | None:
    config = reader.child("dns_cache_config")
    if config is None:
        reader.refuse("dns_cache_config", "this field is required")
        return None
    compiled = _cache_config(config)
    try:
        return caches.of(compiled)
    except ConfigError as error:
        reader.adopt(error, "dns_cache_config")
        return None


def _cache_config(reader: Reader) -> DnsCacheConfig:
    reader.only(*_CACHE_FIELDS)
    base, longest = dns.failure(reader.child("dns_failure_refresh_rate"))
    most = reader.wrapped("max_hosts", 1024)
    names = _preresolved(reader)
    if len(names) > most:
        reader.refuse("preresolve_hostnames", f"{len(names)} are more than max_hosts, {most}")
    return DnsCacheConfig(
        name=reader.message.name,
        family=dns.family(reader),
        servers=dns.servers(reader),
        refresh=reader.seconds("dns_refresh_rate", 60.0),
        min_refresh=reader.seconds("dns_min_refresh_rate", 5.0),
        failure_base=base,
        failure_max=longest,
        refreshes_failed=not reader.message.disable_dns_refresh_on_failure,
        query_timeout=reader.seconds("dns_query_timeout", 5.0),
        host_ttl=reader.seconds("host_ttl", 300.0),
        max_hosts=most,
        max_pending=_max_pending(reader),
        preresolved=names,
    )


def _preresolved(reader: Reader) -> tuple[tuple[str, int], ...]:
    """Each a SocketAddress whose address is a name."""
    found = []
    for item in reader.items("preresolve_hostnames"):
        item.only("address", "port_value", at_default={"protocol": 0})
        found.append((item.message.address, item.message.port_value))
    return tuple(found)


def _max_pending(reader: Reader) -> int:
    breaker = reader.child("dns_cache_circuit_breaker")
    if breaker is None:
        return 1024
    breaker.only("max_pending_requests")
    return breaker.wrapped("max_pending_requests", 1024)
