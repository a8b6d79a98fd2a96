"""TcpProxy filters."""

from ..tcp.config import TcpOptions
from .accesslog import access_logs
from .context import Context, Observers
from .fields import Reader
from .hash_policies import tcp_hashes_source


def tcp_options(reader: Reader, ctx: Context, metrics: list[Observers]) -> TcpOptions:
    """A TcpProxy; `metrics` are the filters before it that only watch."""
    reader.only(
        "cluster",
        "weighted_clusters",
        "idle_timeout",
        "max_connect_attempts",
        "max_downstream_connection_duration",
        "access_log",
        "hash_policy",
        harmless={"stat_prefix": "connections are counted at the listener and the cluster"},
        at_default={"upstream_connect_mode": 0},
    )
    logs = [log.tcp for log in access_logs(reader, ctx)]
    return TcpOptions(
        clusters=_clusters(reader),
        idle_timeout=reader.seconds("idle_timeout", 3600.0),
        max_connect_attempts=reader.wrapped("max_connect_attempts", 1),
        max_duration=reader.seconds("max_downstream_connection_duration", 0.0),
        hashes_source=tcp_hashes_source(reader),
        observers=(*logs, *(watcher.tcp for watcher in metrics)),
        logs=tuple(logs),
    )


def _clusters(reader: Reader) -> tuple[tuple[str, int], ...]:
    if reader.which("cluster_specifier") != "weighted_clusters":
        return ((reader.message.cluster, 1),)
    weighted = Reader(reader.message.weighted_clusters, reader.at("weighted_clusters"), reader.problems)
    weighted.only("clusters")
    for entry in weighted.items("clusters"):
        entry.only("name", "weight")
    return tuple((entry.name, entry.weight) for entry in weighted.message.clusters)
