"""One bootstrap for both proxies: a virtual host and a cluster of its own for every policy, so that their counters can be told apart."""

import json
from dataclasses import dataclass, field
from typing import Any

_TYPE = "@type"
_LOG = (
    "%REQ(x-id)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %BYTES_SENT%\n"
)


def typed(name: str, **fields: Any) -> dict[str, Any]:
    return {_TYPE: f"type.googleapis.com/{name}", **fields}


@dataclass(frozen=True)
class Site:
    """A virtual host: members of its route's action, of its route, of its cluster, and where the cluster's endpoints are."""

    action: dict[str, Any] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    endpoints: tuple[str, ...] = ("$UP",)
    http2: bool = False
    spares: tuple[str, ...] = ()
    """Endpoints of the next priority."""


def retry(retry_on: str, /, **policy: Any) -> dict[str, Any]:
    """A route's action with a retry policy whose back-off is over at once."""
    quick = {"retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"}}
    return {"retry_policy": {"retry_on": retry_on, **quick, **policy}}


def bootstrap(sites: dict[str, Site], *, buffer_limit: int = 65536, **manager: Any) -> str:
    """`$HTTP` is the listener's port; `$UP`, `$UP2` and `$DEAD` are the upstreams'."""
    hosts = [_host(name, site) for name, site in sites.items()]
    hosts[0]["domains"] = ["*"]
    log = typed(
        "envoy.extensions.access_loggers.file.v3.FileAccessLog", path="$LOG", log_format={"text_format_source": {"inline_string": _LOG}}
    )
    http = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="retries",
        route_config={"name": "r", "virtual_hosts": hosts},
        http_filters=[{"name": "router", "typed_config": typed("envoy.extensions.filters.http.router.v3.Router")}],
        access_log=[{"name": "log", "typed_config": log}],
        **manager,
    )
    listener = {
        "name": "http",
        "address": _address("$HTTP"),
        "per_connection_buffer_limit_bytes": buffer_limit,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": http}]}],
    }
    resources = {"listeners": [listener], "clusters": [_cluster(name, site) for name, site in sites.items()]}
    text = json.dumps(resources)
    for port in ("HTTP", "UP", "UP2", "DEAD"):
        text = text.replace(f'"${port}"', f"${port}")  # a number, not a string
    return f"static_resources: {text}\n"


def _host(name: str, site: Site) -> dict[str, Any]:
    action = {"cluster": name, "timeout": "5s", **site.action}
    return {
        "name": name,
        "domains": [name],
        "include_request_attempt_count": True,
        "include_attempt_count_in_response": True,
        "routes": [{"match": {"prefix": "/"}, "route": action, **site.route}],
    }


def _cluster(name: str, site: Site) -> dict[str, Any]:
    priorities = [
        {"priority": number, "lb_endpoints": [{"endpoint": {"address": _address(port)}} for port in ports]}
        for number, ports in enumerate((site.endpoints, site.spares))
        if ports
    ]
    # A reused connection that dies says nothing of the server, and is replaced without asking the policy: see DIFFERENCES.md.
    protocol = {"http2_protocol_options": {}} if site.http2 else {"max_requests_per_connection": 1}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": priorities},
        **protocol,
        **site.cluster,
    }


def _address(port: str) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
