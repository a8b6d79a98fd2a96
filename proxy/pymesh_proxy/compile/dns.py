"""How a cluster's names are looked up: the Cluster's own fields, or those of a `DnsCluster`."""

from collections.abc import Callable

from pymesh.address import is_ip

from ..upstream.config import Discovery
from ..upstream.dns_config import DnsConfig, Family, NameServers
from .addresses import socket_address
from .fields import Reader

CLUSTER_FIELDS = (
    "dns_refresh_rate",
    "dns_failure_refresh_rate",
    "respect_dns_ttl",
    "dns_jitter",
    "dns_lookup_family",
    "dns_resolvers",
    "use_tcp_for_dns_lookups",
    "dns_resolution_config",
    "typed_dns_resolver_config",
    "wait_for_warm_on_init",
)
"""Fields of a Cluster that this module reads."""

_FIELDS = (
    "dns_refresh_rate",
    "dns_failure_refresh_rate",
    "respect_dns_ttl",
    "dns_jitter",
    "dns_lookup_family",
    "typed_dns_resolver_config",
)

_SYSTEM = "this needs resolvers: without them the system is asked"


def dns(reader: Reader, discovery: Discovery, own: Reader | None) -> DnsConfig:
    """A Cluster's DNS settings; `own` is its DnsCluster, in whose favour the Cluster's fields are ignored, as in Envoy."""
    wait = reader.wrapped("wait_for_warm_on_init", True)
    if own is not None:
        own.only(*_FIELDS, "all_addresses_in_single_endpoint")
        return _settings(own, _typed(own), one_endpoint=own.message.all_addresses_in_single_endpoint, wait=wait)
    return _settings(reader, servers(reader), one_endpoint=discovery is Discovery.LOGICAL_DNS, wait=wait)


def _settings(reader: Reader, asked: NameServers | None, *, one_endpoint: bool, wait: bool) -> DnsConfig:
    base, longest = failure(reader.child("dns_failure_refresh_rate"))
    return DnsConfig(
        refresh=reader.seconds("dns_refresh_rate", 5.0),
        jitter=reader.seconds("dns_jitter", 0.0),
        failure_base=base,
        failure_max=longest,
        respect_ttl=reader.message.respect_dns_ttl,
        family=family(reader),
        servers=asked,
        one_endpoint=one_endpoint,
        wait=wait,
    )


def family(reader: Reader) -> Family:
    """`dns_lookup_family`."""
    name = reader.choice("dns_lookup_family")
    return Family[name] if name in Family.__members__ else Family.AUTO


def failure(rate: Reader | None) -> tuple[float, float]:
    """Base and maximum of the back-off; the maximum is ten times the base unless it is said."""
    if rate is None:
        return 0.0, 0.0
    rate.only("base_interval", "max_interval")
    base = rate.seconds("base_interval", 0.0)
    longest = rate.seconds("max_interval", 10 * base)
    if longest < base:
        rate.refuse("max_interval", f"{longest:g} s is less than the base, {base:g} s")
    return base, longest


def servers(reader: Reader) -> NameServers | None:
    """A Cluster has three ways to say it, a DnsCacheConfig two; the newest one that is used counts. None is the system."""
    if reader.has("typed_dns_resolver_config"):
        return _typed(reader)
    older = reader.child("dns_resolution_config")
    if older is not None:
        older.only("resolvers", "dns_resolver_options")
        return _with_options(older, _addresses(older, "resolvers"))
    addresses = _addresses(reader, "dns_resolvers") if "dns_resolvers" in reader.message.DESCRIPTOR.fields_by_name else ()
    if addresses:
        return NameServers(addresses=addresses, tcp=reader.message.use_tcp_for_dns_lookups)
    if reader.message.use_tcp_for_dns_lookups:
        reader.refuse("use_tcp_for_dns_lookups", _SYSTEM)
    return None


def _typed(reader: Reader) -> NameServers | None:
    chosen = reader.child("typed_dns_resolver_config")
    return chosen.extend(_RESOLVERS) if chosen is not None else None


def _cares(config: Reader) -> NameServers | None:
    sockets = "every question has a socket of its own"
    config.only(
        "resolvers",
        "dns_resolver_options",
        "query_timeout_seconds",
        "query_tries",
        "rotate_nameservers",
        "edns0_max_payload_size",
        harmless={"udp_max_queries": sockets, "max_udp_channel_duration": sockets, "reinit_channel_on_timeout": sockets},
        at_default={"use_resolvers_as_fallback": False, "filter_unroutable_families": False},
    )
    addresses = _addresses(config, "resolvers")
    if not addresses:
        for name in ("query_timeout_seconds", "query_tries", "rotate_nameservers", "edns0_max_payload_size"):
            if config.has(name):
                config.refuse(name, _SYSTEM)
    return _with_options(
        config,
        addresses,
        timeout=float(config.wrapped("query_timeout_seconds", 5)),
        tries=config.wrapped("query_tries", 4),
        rotate=config.message.rotate_nameservers,
        payload=config.wrapped("edns0_max_payload_size", 0),
    )


def _with_options(
    reader: Reader,
    addresses: tuple[tuple[str, int], ...],
    *,
    timeout: float = 5.0,
    tries: int = 4,
    rotate: bool = False,
    payload: int = 0,
) -> NameServers | None:
    options = reader.child("dns_resolver_options")
    if options is not None:
        options.only("use_tcp_for_dns_lookups", "no_default_search_domain")
    if not addresses:
        if options is not None and options.message.ListFields():
            reader.refuse("dns_resolver_options", _SYSTEM)
        return None
    return NameServers(
        addresses=addresses,
        tcp=options is not None and options.message.use_tcp_for_dns_lookups,
        search=options is None or not options.message.no_default_search_domain,
        timeout=timeout,
        tries=tries,
        rotate=rotate,
        payload=payload,
    )


def _getaddrinfo(config: Reader) -> None:
    config.only(
        harmless={
            "num_retries": "a look-up that fails is repeated at the failure refresh rate",
            "num_resolver_threads": "the event loop has threads for it",
        }
    )


_RESOLVERS: dict[str, Callable[[Reader], NameServers | None]] = {
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig": _cares,
    "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig": _getaddrinfo,
}


def _addresses(reader: Reader, name: str) -> tuple[tuple[str, int], ...]:
    found = []
    for item in reader.items(name):
        host, port = socket_address(item)
        if not is_ip(host):
            item.refuse("", f"{host!r} is no IP address")
        found.append((host, port or 53))
    return tuple(found)
