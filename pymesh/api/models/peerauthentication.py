"""PeerAuthentication: which connections a workload accepts."""

import enum

from ..types import Model, PolicySelector


class MutualTLSMode(enum.Enum):
    """UNSET takes the mode of the next wider policy."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class MutualTLS(Model):
    """A mode, in the message Istio wraps it in."""

    mode: MutualTLSMode | None = None


class PeerAuthentication(Model):
    """The `spec` of a PeerAuthentication; `port_level_mtls` is by the workload's own port."""

    selector: PolicySelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[int, MutualTLS] = {}
