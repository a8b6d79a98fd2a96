"""The labels that say where nodes and workloads are."""

LEVELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
"""The labels of a node that make its locality: region, zone and sub-zone."""

NETWORK_LABEL, CLUSTER_LABEL, HOSTNAME_LABEL = "topology.istio.io/network", "topology.istio.io/cluster", "kubernetes.io/hostname"
