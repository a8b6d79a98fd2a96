"""What an entry of Envoy's access log tells of where a call was to go."""

from collections.abc import Iterator
from typing import Any

from .blocked import LONGEST_NAME, Destination

LOG = "pymesh-blocked"
"""The name of the log, which stands in each first message."""

SNI_TAG = "sni"
"""The custom tag in which connections tell the server name that TLS asked for: without TLS of its own, Envoy's entry has none."""

_NOTHING = ("", "-")


def destinations(message: Any) -> Iterator[tuple[Destination, float]]:
    """Every call of a StreamAccessLogsMessage with its time, seconds since 1970."""
    for entry in message.http_logs.log_entry:
        authority = entry.request.authority[:LONGEST_NAME]
        host, port = _host_and_port(authority)
        yield Destination("HTTP", host, port), _time(entry)
    for entry in message.tcp_logs.log_entry:
        common = entry.common_properties
        address = common.downstream_local_address.socket_address
        name = common.custom_tags.get(SNI_TAG, "")
        if name not in _NOTHING:
            yield Destination("TLS", name[:LONGEST_NAME].lower(), address.port_value), _time(entry)
        else:
            yield Destination("TCP", address.address, address.port_value), _time(entry)


def _time(entry: Any) -> float:
    start = entry.common_properties.start_time
    return float(start.seconds + start.nanos / 1e9)


def _host_and_port(authority: str) -> tuple[str, int]:
    """A port that is no number belongs to no host that could be declared: then the whole is the host."""
    host, colon, port = authority.rpartition(":")
    if colon and port.isascii() and port.isdigit() and int(port) <= 65535 and (":" not in host or host.startswith("[")):
        return host.strip("[]").lower(), int(port)
    return authority.strip("[]").lower(), 0
