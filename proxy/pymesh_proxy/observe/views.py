"""What observers look at besides the runtime: discovery and the life of the process. Read, never changed."""

from collections.abc import Mapping
from typing import Any, Protocol


class StreamView(Protocol):
    """One stream to a control plane, in the words of Envoy's control_plane statistics."""

    @property
    def connected_state(self) -> int: ...

    @property
    def identifier(self) -> str: ...


class DiscoveryView(Protocol):
    """What discovery says of itself."""

    @property
    def control_plane(self) -> StreamView: ...

    @property
    def types(self) -> Mapping[str, Any]:
        """By short name (cds, eds, lds, rds, sds): counters named as Envoy's, `version_text` and `last_error`."""

    @property
    def warming_clusters(self) -> int: ...

    @property
    def warming_listeners(self) -> int: ...
