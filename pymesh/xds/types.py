"""The xDS resource types by URL, in the order in which a push must carry them (make before break)."""

from typing import Any

from . import proto

_PREFIX = "type.googleapis.com/"

CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
ROUTE = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
SECRET = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"

HEALTH = _PREFIX + "istio.v1.HealthInformation"
"""No resource: Istio's agents say with a request of this type that their workload is well, or with `error_detail` that it is not."""

PUSH_ORDER = (CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET)
"""Istio's and Envoy's order: a route never names a cluster that the proxy has not been told of."""

WILDCARD = frozenset({CLUSTER, LISTENER})
"""Types a client subscribes to without naming resources; absence in a state-of-the-world answer means removal."""

MESSAGES: dict[str, Any] = {
    CLUSTER: proto.cluster.Cluster,
    ENDPOINT: proto.endpoint.ClusterLoadAssignment,
    LISTENER: proto.listener.Listener,
    ROUTE: proto.route.RouteConfiguration,
    SECRET: proto.secret.Secret,
}

SHORT = {CLUSTER: "cds", ENDPOINT: "eds", LISTENER: "lds", ROUTE: "rds", SECRET: "sds"}
"""Envoy's short names, used in logs and metric labels."""


def resource_name(type_url: str, message: Any) -> str:
    """The name a resource is subscribed by (`cluster_name` for load assignments)."""
    return str(message.cluster_name if type_url == ENDPOINT else message.name)
