"""What observers look at: the parts of the running proxy, as they see them. Everything here is read, nothing is changed."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..listener.config import ListenerConfig
from ..upstream.config import ClusterConfig, EndpointConfig


class EndpointView(Protocol):
    """One address at run time; carries counters named as Envoy's."""

    @property
    def config(self) -> EndpointConfig: ...


class ClusterView(Protocol):
    """One cluster at run time; carries counters named as Envoy's."""

    @property
    def config(self) -> ClusterConfig: ...

    @property
    def endpoints(self) -> Iterable[EndpointView]: ...


class ListenerView(Protocol):
    """One listener at run time; carries counters named as Envoy's."""

    @property
    def config(self) -> ListenerConfig: ...


class SecretsView(Protocol):
    """The secrets that SDS brought."""

    def get(self, name: str) -> Any:
        """A SecretValue, or None."""


class RuntimeView(Protocol):
    """The running proxy."""

    @property
    def clusters(self) -> Iterable[Any]:
        """ClusterView of each."""

    @property
    def listeners(self) -> Iterable[Any]:
        """ListenerView of each."""

    @property
    def secrets(self) -> SecretsView: ...

    @property
    def node(self) -> Any:
        """The protobuf Node."""

    @property
    def concurrency(self) -> int: ...


class TypeStatusView(Protocol):
    """Counters of one xDS resource type."""

    @property
    def version_text(self) -> str: ...


class DiscoveryView(Protocol):
    """What discovery says of itself."""

    @property
    def connected_state(self) -> int: ...

    @property
    def identifier(self) -> str: ...

    @property
    def types(self) -> Mapping[str, Any]:
        """TypeStatusView by short name (cds, eds, lds, rds, sds)."""

    @property
    def warming_clusters(self) -> int: ...

    @property
    def warming_listeners(self) -> int: ...
