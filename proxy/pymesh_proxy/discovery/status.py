"""What discovery has to say for itself: Envoy's counters for the control plane and each type. Read by the admin interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pymesh.xds import types


@dataclass(slots=True)
class TypeStatus:
    """Counters of one resource type, named as Envoy's (`cluster_manager.cds.update_success`, ...)."""

    update_attempt: int = 0
    """Responses received, and streams that failed."""
    update_success: int = 0
    update_rejected: int = 0
    update_failure: int = 0
    """Streams lost while the type was subscribed."""
    init_fetch_timeout: int = 0
    version_text: str = ""
    last_error: str = ""
    """Why the last response was refused; empty once one was accepted."""


@dataclass(slots=True)
class StreamStatus:
    """One stream to a control plane."""

    connected_state: int = 0
    """control_plane.connected_state: 1 from the first response until the stream is lost."""
    identifier: str = ""
    """control_plane.identifier: how the server names itself."""
    last_failure: str = ""
    """Why the stream was last lost; empty while it is up."""


@dataclass(slots=True)
class Status:
    """The state of all discovery of the process."""

    control_plane: StreamStatus = field(default_factory=StreamStatus)
    """The ADS stream."""
    types: Mapping[str, TypeStatus] = field(default_factory=lambda: {short: TypeStatus() for short in types.SHORT.values()})
    """By short name: cds, eds, lds, rds, sds."""
    warming_clusters: int = 0
    warming_listeners: int = 0

    def of(self, type_url: str) -> TypeStatus:
        return self.types[types.SHORT[type_url]]
