"""The xDS resource types by URL, in the order in which a push must carry them (make before break)."""

from typing import Any

from . import nds, proto

_PREFIX = "type.googleapis.com/"

CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
ROUTE = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
SECRET = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
NAME_TABLE = _PREFIX + "istio.networking.nds.v1.NameTable"
"""Istio's own: one resource without a name, of sidecars that answer their application's DNS queries."""

HEALTH = _PREFIX + "istio.v1.HealthInformation"
"""No resource: Istio's agents say with a request of this type that their workload is well, or with `error_detail` that it is not."""

PUSH_ORDER = (CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, NAME_TABLE)
"""Istio's and Envoy's order: a route never names a cluster that the proxy has not been told of, nor DNS a listener."""

WILDCARD = frozenset({CLUSTER, LISTENER, NAME_TABLE})
"""Types a client subscribes to without naming resources; absence in a state-of-the-world answer means removal."""

MESSAGES: dict[str, Any] = {
    CLUSTER: proto.cluster.Cluster,
    ENDPOINT: proto.endpoint.ClusterLoadAssignment,
    LISTENER: proto.listener.Listener,
    ROUTE: proto.route.RouteConfiguration,
    SECRET: proto.secret.Secret,
    NAME_TABLE: nds.NameTable,
}

SHORT = {CLUSTER: "cds", ENDPOINT: "eds", LISTENER: "lds", ROUTE: "rds", SECRET: "sds", NAME_TABLE: "nds"}
"""Envoy's and Istio's short names, used in logs and metric labels."""


def resource_name(type_url: str, message: Any) -> str:
    """The name a resource is subscribed by (`cluster_name` for load assignments); a name table has none."""
    if type_url == NAME_TABLE:
        return ""
    return str(message.cluster_name if type_url == ENDPOINT else message.name)
