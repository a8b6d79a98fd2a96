"""Sections of a proxy's configuration as rows of istioctl's tables. Nothing here asks anybody."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymesh.xds import names

from . import certificates, matching
from .dump import Dump, Entry, Message, name_of

Filters = Mapping[str, Any]
"""What was asked for, by option; None stands for anything."""

Row = tuple[list[str], Message]
"""The cells, and the part of the resource whose metadata say where it comes from."""


@dataclass(frozen=True, slots=True)
class Table:
    """One section: its columns, which resources are asked for, and the rows of one."""

    section: str
    head: tuple[str, ...]
    filters: frozenset[str]
    """The options that mean something to it."""
    admits: Callable[[Message, Filters], bool]
    of: Callable[[Entry, Filters], Iterator[Row]]

    def rows(self, dump: Dump, filters: Filters) -> list[Row]:
        """In the order of the dump, but what belongs to one service together and by port."""
        wanted = [entry for entry in dump.entries.get(self.section, ()) if self.admits(entry.message, filters)]
        return [row for entry in sorted(wanted, key=_order) for row in self.of(entry, filters)]


def origins(message: Message) -> list[str]:
    """The resources that a part of the configuration was made of, as the control plane has written into its metadata."""
    told: list[str] = message.get("metadata", {}).get("filter_metadata", {}).get("pymesh", {}).get("origins", [])
    return told


def _order(entry: Entry) -> tuple[str, int, str, str]:
    parts = names.parse_cluster(name_of(entry.message))
    return ("", 0, "", "") if parts is None else (parts.host, parts.port, parts.subset, parts.direction)


def _admits_cluster(message: Message, filters: Filters) -> bool:
    return fits_cluster(name_of(message), filters)


def fits_cluster(name: str, filters: Filters) -> bool:
    """Whether a cluster's name is what the filters for clusters ask for."""
    parts = names.parse_cluster(name)
    found = {"fqdn": name} if parts is None else {
        "fqdn": parts.host, "port": parts.port, "subset": parts.subset, "direction": parts.direction,
    }  # fmt: skip
    exact = {key: filters[key] for key in ("port", "direction") if filters.get(key) is not None}
    parted = {key: filters[key] for key in ("fqdn", "subset") if filters.get(key)}
    return (
        filters.get("name") in (None, name)
        and all(found.get(key) == wanted for key, wanted in exact.items())
        and all(wanted in str(found.get(key, "")) for key, wanted in parted.items())
    )


def _admits_assignment(message: Message, filters: Filters) -> bool:
    """By the cluster; port, address and health are those of single endpoints."""
    own = {key: filters.get(key) for key in ("fqdn", "subset")}
    return _admits_cluster(message, {**own, "name": filters.get("cluster")}) and any(_endpoints_of(message, filters))


def _cluster(entry: Entry, _filters: Filters) -> Iterator[Row]:
    message = entry.message
    name = name_of(message)
    parts = names.parse_cluster(name)
    kind = message.get("type") or message.get("cluster_type", {}).get("name") or "STATIC"
    rule = _config(message)
    if parts is None:
        yield [name, "-", "-", "-", kind, rule], message
    else:
        yield [parts.host, str(parts.port), parts.subset or "-", parts.direction, kind, rule], message


def _config(message: Message) -> str:
    """`NAME.NAMESPACE` of the rule that Istio's metadata name by its path."""
    path = message.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    parts = path.split("/")
    return f"{parts[-1]}.{parts[-3]}" if len(parts) > 3 else ""


def _admits_listener(message: Message, filters: Filters) -> bool:
    addresses, port = _sockets(message)
    wanted = filters.get("type")
    return (
        filters.get("name") in (None, name_of(message))
        and filters.get("address") in (None, *addresses)
        and filters.get("port") in (None, port)
        and (wanted is None or matching.kind(message) == wanted.upper())
    )


def _sockets(message: Message) -> tuple[list[str], int]:
    """All addresses of a listener, and the port of the first."""
    first, port = _socket(message.get("address", {}))
    others = (_socket(one.get("address", {}))[0] for one in message.get("additional_addresses", ()))
    return [first, *others], port


def _socket(address: Message) -> tuple[str, int]:
    if "pipe" in address:
        return f"unix://{address['pipe'].get('path', '')}", 0
    socket = address.get("socket_address", {})
    return str(socket.get("address", "")), int(socket.get("port_value", 0))


def _listener(entry: Entry, _filters: Filters) -> Iterator[Row]:
    message = entry.message
    addresses, port = _sockets(message)
    address = ",".join(filter(None, addresses))
    chains = message.get("filter_chains", ())
    for chain in (*chains, *([message["default_filter_chain"]] if "default_filter_chain" in message else [])):
        yield [address, str(port), matching.chain(chain), matching.destination(chain)], chain if origins(chain) else message
    if not chains and "default_filter_chain" not in message:
        yield [address or name_of(message), str(port), "ALL", matching.api(message)], message


def _admits_route(message: Message, filters: Filters) -> bool:
    wanted = filters.get("name")
    if wanted is not None and name_of(message) != wanted:
        return False
    return any(_hosts_of(host, filters) for host in message.get("virtual_hosts", ())) or filters.get("fqdn") is None


def _hosts_of(host: Message, filters: Filters) -> bool:
    wanted = filters.get("fqdn")
    return wanted is None or any(wanted in one for one in (*host.get("domains", ()), host.get("name", "").rpartition(":")[0]))


def _route(entry: Entry, filters: Filters) -> Iterator[Row]:
    name = name_of(entry.message)
    for host in entry.message.get("virtual_hosts", ()):
        if not _hosts_of(host, filters):
            continue
        told = [name, host.get("name", ""), matching.domains(host.get("domains", []))]
        for route in host.get("routes", ()):
            yield [*told, matching.request(route.get("match", {})), _config(route) or matching.without_cluster(route)], route
        if not host.get("routes"):
            yield [*told, "/*", "404"], host


def _endpoint(entry: Entry, filters: Filters) -> Iterator[Row]:
    for shown, health, locality in _endpoints_of(entry.message, filters):
        yield [shown, health, locality, name_of(entry.message)], {}


def _endpoints_of(message: Message, filters: Filters) -> Iterator[tuple[str, str, str]]:
    """(address, health, locality) of the endpoints that are asked for."""
    for group in message.get("endpoints", ()):
        place = group.get("locality", {})
        locality = "/".join(filter(None, (place.get("region"), place.get("zone"), place.get("sub_zone"))))
        for one in group.get("lb_endpoints", ()):
            address, port = _socket(one.get("endpoint", {}).get("address", {}))
            health = one.get("health_status", "HEALTHY")
            status = filters.get("status")
            is_wanted = filters.get("address") in (None, address) and filters.get("port") in (None, port)
            if is_wanted and (status is None or health == status.upper()):
                yield f"{address}:{port}" if port else address, health, locality


def _secret(entry: Entry, _filters: Filters) -> Iterator[Row]:
    for facts in certificates.facts(entry.message):
        yield [name_of(entry.message), facts.kind, "WARMING" if entry.is_warming else "ACTIVE", *facts.cells], {}


def _by_name(message: Message, filters: Filters) -> bool:
    return filters.get("name") in (None, name_of(message))


_CLUSTERS = ("fqdn", "port", "subset", "direction", "name")
_LISTENERS = ("address", "port", "type", "name")
_ENDPOINTS = ("fqdn", "subset", "cluster", "address", "port", "status")

TABLES = {
    "clusters": Table(
        "clusters",
        ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"),
        frozenset(_CLUSTERS),
        _admits_cluster,
        _cluster,
    ),
    "listeners": Table("listeners", ("ADDRESSES", "PORT", "MATCH", "DESTINATION"), frozenset(_LISTENERS), _admits_listener, _listener),
    "routes": Table(
        "routes", ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"), frozenset({"name", "fqdn"}), _admits_route, _route
    ),
    "endpoints": Table("endpoints", ("NAME", "STATUS", "LOCALITY", "CLUSTER"), frozenset(_ENDPOINTS), _admits_assignment, _endpoint),
    "secrets": Table(
        "secrets",
        ("RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE", "TRUST DOMAIN"),
        frozenset({"name"}),
        _by_name,
        _secret,
    ),
}
