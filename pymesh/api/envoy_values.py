"""The values of EnvoyFilters: which message of Envoy's API each stands for, and whether it is one."""

from typing import Any

from pymesh.xds import known

from .models.envoyfilter import ApplyTo

_LISTENERS = "envoy.config.listener.v3."
_ROUTES = "envoy.config.route.v3."

MESSAGES = {
    ApplyTo.LISTENER: _LISTENERS + "Listener",
    ApplyTo.LISTENER_FILTER: _LISTENERS + "ListenerFilter",
    ApplyTo.FILTER_CHAIN: _LISTENERS + "FilterChain",
    ApplyTo.NETWORK_FILTER: _LISTENERS + "Filter",
    ApplyTo.HTTP_FILTER: "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    ApplyTo.ROUTE_CONFIGURATION: _ROUTES + "RouteConfiguration",
    ApplyTo.VIRTUAL_HOST: _ROUTES + "VirtualHost",
    ApplyTo.HTTP_ROUTE: _ROUTES + "Route",
    ApplyTo.CLUSTER: "envoy.config.cluster.v3.Cluster",
    ApplyTo.EXTENSION_CONFIG: "envoy.config.core.v3.TypedExtensionConfig",
    ApplyTo.BOOTSTRAP: "envoy.config.bootstrap.v3.Bootstrap",
}


def message_of(what: ApplyTo, value: Any) -> Any:
    """The message of a value, without the fields that this version of Envoy's API does not have. Raises known.InvalidValue."""
    return known.from_json(MESSAGES[what], value, ignore_unknown=True)


def unknown_field(what: ApplyTo, value: Any) -> known.InvalidValue | None:
    """The first field of a value that this version of Envoy's API does not have, where the value is otherwise good."""
    try:
        known.from_json(MESSAGES[what], value)
    except known.InvalidValue as error:
        return error
    return None
