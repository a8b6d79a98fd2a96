"""The hosts of a proxy's clusters as the proxy itself sees them (/clusters), those that DNS has found and static ones among them."""

from collections.abc import Iterator
from typing import Any

from .rows import Filters, fits_cluster

HEAD = ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER")
"""istioctl's columns."""

Message = dict[str, Any]


def wanted(told: Message, filters: Filters) -> Iterator[tuple[Message, str]]:
    """Each host that is asked for, with its cluster."""
    for cluster in told.get("cluster_statuses", ()):
        name = str(cluster.get("name", ""))
        if fits_cluster(name, {"fqdn": filters.get("fqdn"), "subset": filters.get("subset"), "name": filters.get("cluster")}):
            yield from ((host, name) for host in cluster.get("host_statuses", ()) if _fits(host, filters))


def row(host: Message, cluster: str) -> list[str]:
    address, port = _place(host)
    outlier = "FAILED" if _health(host).get("failed_outlier_check") else "OK"
    return [f"{address}:{port}" if port else address, status(host), outlier, cluster]


def status(host: Message) -> str:
    """The word that discovery has for it, as istioctl shows it: what checks have found is beside it."""
    return str(_health(host).get("eds_health_status") or "UNKNOWN")


def _fits(host: Message, filters: Filters) -> bool:
    address, port = _place(host)
    health = filters.get("status")
    return (
        filters.get("address") in (None, address)
        and filters.get("port") in (None, port)
        and (health is None or status(host) == health.upper())
    )


def _health(host: Message) -> Message:
    found: Message = host.get("health_status", {})
    return found


def _place(host: Message) -> tuple[str, int]:
    address = host.get("address", {})
    if "pipe" in address:
        return f"unix://{address['pipe'].get('path', '')}", 0
    socket = address.get("socket_address", {})
    return str(socket.get("address", "")), int(socket.get("port_value", 0))
