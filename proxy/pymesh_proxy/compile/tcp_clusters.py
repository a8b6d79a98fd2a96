"""The clusters of a TcpProxy."""

from .fields import Reader


def weighted(reader: Reader) -> tuple[tuple[str, int], ...]:
    """(cluster, weight) pairs; one for a plain `cluster`."""
    if reader.which("cluster_specifier") != "weighted_clusters":
        return ((reader.message.cluster, 1),)
    entries = Reader(reader.message.weighted_clusters, reader.at("weighted_clusters"), reader.problems)
    entries.only("clusters")
    for entry in entries.items("clusters"):
        entry.only("name", "weight")
    return tuple((entry.name, entry.weight) for entry in entries.message.clusters)
