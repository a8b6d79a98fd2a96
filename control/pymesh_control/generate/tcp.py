"""TCP proxies: the network filters of a chain that forwards connections rather than requests."""

from collections.abc import Iterable, Sequence
from typing import Any

from pymesh.address import Address
from pymesh.xds import proto

from ..model.mesh import Mesh
from ..model.view import PYMESH
from .accesslog import access_logs
from .common import extension
from .manager import istio_extension

_PROXY = proto.tcp_proxy.TcpProxy
_FILTER = proto.listener_components.Filter


def filters(
    mesh: Mesh,
    flavor: str,
    targets: Sequence[tuple[str, int]],
    pool: Any = None,
    tunnel: Any = None,
    stats: str = "",
    *,
    by_source: bool = False,
    idle: float | None = None,
    logs: Iterable[Any] = (),
    before: Sequence[Any] = (),
) -> list[Any]:
    """The filters of a chain to one cluster, or to several by weight. `pool` is a rule's connectionPool.tcp, `tunnel` its tunnel.

    `stats` is the name under which they count, where it is not that of the first cluster. `by_source`: where a cluster balances by a
    hash, it is that of the client's address. `idle` is the proxy's own idle timeout, in seconds, `logs` are
    written besides those of the mesh. `before` are filters that come first.
    """
    proxy = _PROXY(stat_prefix=stats or targets[0][0], access_log=[*access_logs(mesh), *logs])
    if len(targets) == 1:
        proxy.cluster = targets[0][0]
    else:
        proxy.weighted_clusters.clusters.extend(_PROXY.WeightedCluster.ClusterWeight(name=name, weight=weight) for name, weight in targets)
    stated = pool.idle_timeout if pool and pool.idle_timeout is not None else idle
    if stated is not None:
        proxy.idle_timeout.CopyFrom(proto.duration(stated))
    if pool and pool.max_connection_duration:
        proxy.max_downstream_connection_duration.CopyFrom(proto.duration(pool.max_connection_duration))
    if by_source:
        proxy.hash_policy.add(source_ip={})
    if tunnel:
        proxy.tunneling_config.use_post = (tunnel.protocol or "").upper() == "POST"
        proxy.tunneling_config.hostname = str(Address(tunnel.target_host, tunnel.target_port))
    metrics = [istio_extension("istio.stats", "stats.PluginConfig", _FILTER)] if flavor == PYMESH and mesh.counts else []
    return [*before, *metrics, _FILTER(**extension("envoy.filters.network.tcp_proxy", proxy))]
