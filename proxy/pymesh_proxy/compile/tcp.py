"""TcpProxy filters."""

from ..tcp.config import SniLookup, TcpOptions
from .accesslog import access_logs
from .context import Context, Observers
from .fields import Reader
from .hash_policies import tcp_hashes_source
from .tcp_clusters import weighted
from .tunneling import tunnel_options


def tcp_options(reader: Reader, ctx: Context, metrics: list[Observers], lookup: SniLookup | None = None) -> TcpOptions:
    """A TcpProxy; of the filters before it, `metrics` only watch, and `lookup` finds the host."""
    reader.only(
        "cluster",
        "weighted_clusters",
        "idle_timeout",
        "max_connect_attempts",
        "max_downstream_connection_duration",
        "access_log",
        "access_log_options",
        "access_log_flush_interval",
        "flush_access_log_on_connected",
        "hash_policy",
        "tunneling_config",
        harmless={"stat_prefix": "connections are counted at the listener and the cluster"},
        at_default={"upstream_connect_mode": 0},
    )
    logs = [log.tcp for log in access_logs(reader, ctx)]
    moments = _moments(reader)
    return TcpOptions(
        clusters=weighted(reader),
        idle_timeout=reader.seconds("idle_timeout", 3600.0),
        max_connect_attempts=reader.wrapped("max_connect_attempts", 1),
        max_duration=reader.seconds("max_downstream_connection_duration", 0.0),
        log_connected=moments.message.flush_access_log_on_connected,
        log_interval=moments.seconds("access_log_flush_interval", 0.0),
        hashes_source=tcp_hashes_source(reader),
        tunnel=tunnel_options(reader),
        lookup=lookup,
        observers=(*logs, *(watcher.tcp for watcher in metrics)),
        logs=tuple(logs),
    )


def _moments(reader: Reader) -> Reader:
    """When logs have lines before the end: `access_log_options`, or the older fields of the filter itself."""
    options = reader.child("access_log_options")
    if options is None:
        return reader
    options.only("access_log_flush_interval", "flush_access_log_on_connected")
    for name in ("access_log_flush_interval", "flush_access_log_on_connected"):
        if reader.has(name):
            reader.refuse(name, "only one of access_log_options and this older field may be given")
    return options
