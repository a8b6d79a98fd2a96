"""How a cluster's connections are made: source addresses, TCP keepalive, the order of an endpoint's addresses, original destinations."""

from pymesh.address import is_ip

from ..upstream.config import Eyeballs, OriginalDst
from .addresses import host_and_port
from .fields import Reader

_FAMILIES = {"DEFAULT": 0, "V4": 4, "V6": 6}
_ORIGINAL_DST_HEADER = "x-envoy-original-dst-host"


def bind_addresses(config: Reader | None) -> tuple[str, ...]:
    """The source addresses of an upstream_bind_config, at most one of each family."""
    if config is None:
        return ()
    config.only("source_address", "extra_source_addresses", at_default={"freebind": False})
    found = []
    source = config.child("source_address")
    if source is not None:
        found.append(_source(source))
    else:
        config.refuse("source_address", "this field is required")
    for extra in config.items("extra_source_addresses"):
        extra.only("address")
        found.append(_source(Reader(extra.message.address, extra.at("address"), extra.problems)))
    if len({":" in host for host in found}) < len(found):
        config.refuse("extra_source_addresses", "there can be one more address, of the other family")
    return tuple(found)


def _source(address: Reader) -> str:
    host, port = host_and_port(address)
    if port:
        address.refuse("port_value", "connections cannot share one source port; use 0")
    if not is_ip(host):
        address.refuse("address", f"{host!r} is no IP address")
    return host


def options(cluster: Reader) -> Reader | None:
    """The upstream_connection_options, of which `keepalive` and `eyeballs` read the parts."""
    config = cluster.child("upstream_connection_options")
    if config is not None:
        config.only("tcp_keepalive", "happy_eyeballs_config")
    return config


def keepalive(options: Reader | None) -> tuple[int, int, int] | None:
    """Probes, time and interval; Linux's defaults where only some are given."""
    config = options.child("tcp_keepalive") if options is not None else None
    if config is None:
        return None
    config.only("keepalive_probes", "keepalive_time", "keepalive_interval")
    return config.wrapped("keepalive_probes", 9), config.wrapped("keepalive_time", 7200), config.wrapped("keepalive_interval", 75)


def eyeballs(options: Reader | None) -> Eyeballs:
    """Which family of an endpoint's addresses is tried first, and how often."""
    config = options.child("happy_eyeballs_config") if options is not None else None
    if config is None:
        return Eyeballs()
    config.only("first_address_family_version", "first_address_family_count")
    return Eyeballs(
        family=_FAMILIES.get(config.choice("first_address_family_version"), 0),
        count=config.wrapped("first_address_family_count", 1),
    )


def original_dst(config: Reader | None) -> OriginalDst:
    """Where an ORIGINAL_DST cluster learns the destination."""
    if config is None:
        return OriginalDst()
    config.only("use_http_header", "http_header_name", "upstream_port_override")
    port = config.wrapped("upstream_port_override", 0)
    if port > 65535:
        config.refuse("upstream_port_override", f"{port} is no port")
    name = config.message.http_header_name or _ORIGINAL_DST_HEADER
    if config.message.http_header_name and not config.message.use_http_header:
        config.refuse("http_header_name", "it needs use_http_header")
    return OriginalDst(header=name.lower().encode() if config.message.use_http_header else b"", port=port)
