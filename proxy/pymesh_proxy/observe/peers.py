"""What a workload says of itself: Istio's peer metadata, exchanged in headers and used as metric labels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One workload, in the words of Istio's metric labels; `unknown` where it did not say."""

    workload: str = "unknown"
    namespace: str = "unknown"
    canonical_service: str = "unknown"
    canonical_revision: str = "latest"
    app: str = "unknown"
    version: str = "unknown"
    cluster: str = "unknown"
