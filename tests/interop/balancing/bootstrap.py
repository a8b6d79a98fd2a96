"""Clusters over the same endpoints and routes that hash, as one bootstrap for both proxies; the path's first segment is the route."""

import json
from collections.abc import Sequence
from typing import Any

_TYPES = "type.googleapis.com/envoy.extensions"
HEADER = {"header": {"header_name": "x-user"}}
COOKIE = {
    "cookie": {
        "name": "session",
        "ttl": "60s",
        "path": "/shop",
        "attributes": [{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}],
    }
}
QUERY = {"query_parameter": {"name": "user"}}
SOURCE = {"connection_properties": {"source_ip": True}}
REWRITTEN = {"header": {"header_name": "x-user", "regex_rewrite": {"pattern": {"regex": "^user-([0-9]).*"}, "substitution": "\\1"}}}

WEIGHTS = (1, 2, 3, 1, 7)
_AGAIN = {
    "retry_on": "5xx",
    "num_retries": 2,
    "retry_host_predicate": [
        {"name": "p", "typed_config": {"@type": f"{_TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate"}},
    ],
    "host_selection_retry_max_attempts": 5,
}


def _typed(kind: str, **settings: Any) -> dict[str, Any]:
    policy = {"name": "p", "typed_config": {"@type": f"{_TYPES}.load_balancing_policies.{kind}", **settings}}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": policy}]}}


def _bounded(factor: int) -> dict[str, Any]:
    return {"common_lb_config": {"consistent_hashing_lb_config": {"hash_balance_factor": factor}}}


CLUSTERS: dict[str, dict[str, Any]] = {
    "ring": {"lb_policy": "RING_HASH"},
    "ring-weighted": {"lb_policy": "RING_HASH"},
    "ring-murmur": {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2", "minimum_ring_size": 100}},
    "ring-cut-weighted": {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 10, "maximum_ring_size": 32}},
    "ring-typed": _typed("ring_hash.v3.RingHash", minimum_ring_size=333, consistent_hashing_lb_config={"use_hostname_for_hashing": True}),
    "ring-bounded": {"lb_policy": "RING_HASH", **_bounded(120)},
    "maglev": {"lb_policy": "MAGLEV"},
    "maglev-weighted": {"lb_policy": "MAGLEV"},
    "maglev-typed-weighted": _typed("maglev.v3.Maglev", table_size=251, consistent_hashing_lb_config={"use_hostname_for_hashing": True}),
    "maglev-keyed": {"lb_policy": "MAGLEV"},
    "maglev-bounded-weighted": {"lb_policy": "MAGLEV", **_bounded(100)},
}

SCHEDULED: dict[str, dict[str, Any]] = {
    "rotating-weighted": {},
    "least-weighted": {"lb_policy": "LEAST_REQUEST"},
    "unbiased-weighted": _typed("least_request.v3.LeastRequest", active_request_bias={"runtime_key": "bias"}),
}
_BY_LOCALITY = {"locality_weighted_lb_config": {}}
ZONED: dict[str, tuple[int, dict[str, Any]]] = {
    "common-zoned": (4, {"common_lb_config": _BY_LOCALITY}),
    "typed-zoned": (4, _typed("round_robin.v3.RoundRobin", locality_lb_config=_BY_LOCALITY)),
    "plain-zoned": (8, _typed("round_robin.v3.RoundRobin")),
}
"""What the server that is alone in its locality gets of 40 requests, where that has a tenth of the weight."""
_DRAWN = [{"name": f"only-{number}", "weight": weight} for number, weight in enumerate(WEIGHTS)]
_LEAST = _typed("least_request.v3.LeastRequest", selection_method="FULL_SCAN")
ROUTES: dict[str, dict[str, Any]] = {
    **{name: {"cluster": name, "hash_policy": [HEADER]} for name in CLUSTERS | SCHEDULED | ZONED},
    "cookie": {"cluster": "ring", "hash_policy": [{"cookie": {"name": "session"}}]},
    "new-cookie": {"cluster": "maglev", "hash_policy": [COOKIE]},
    "query": {"cluster": "maglev", "hash_policy": [QUERY]},
    "source": {"cluster": "ring", "hash_policy": [SOURCE]},
    "rewritten": {"cluster": "ring", "hash_policy": [REWRITTEN]},
    "several": {"cluster": "maglev", "hash_policy": [HEADER, QUERY, SOURCE]},
    "terminal": {"cluster": "maglev", "hash_policy": [{**HEADER, "terminal": True}, QUERY]},
    "drawn": {"weighted_clusters": {"clusters": _DRAWN, "use_hash_policy": True}, "hash_policy": [HEADER, COOKIE]},
    "numbered": {"weighted_clusters": {"clusters": _DRAWN, "header_name": "x-user"}},
    "ring-again": {"cluster": "ring", "hash_policy": [HEADER], "retry_policy": _AGAIN},
    "maglev-again": {"cluster": "maglev", "hash_policy": [HEADER], "retry_policy": _AGAIN},
}


def text(ports: Sequence[int]) -> str:
    """The bootstrap without its admin; $HTTP, $TCP and $LEAST are the listeners' ports."""
    alone = [_cluster(f"only-{number}", [port], {}) for number, port in enumerate(ports)]
    shared = CLUSTERS | SCHEDULED | {"least": _LEAST} | {name: settings for name, (_, settings) in ZONED.items()}
    clusters = alone + [_cluster(name, ports, settings) for name, settings in shared.items()]
    hashed = _tcp("TCP", cluster="maglev", hash_policy=[{"source_ip": {}}])
    resources = {"listeners": [_http(), hashed, _tcp("LEAST", cluster="least")], "clusters": clusters}
    return f"static_resources: {json.dumps(resources)}"


def _cluster(name: str, ports: Sequence[int], settings: dict[str, Any]) -> dict[str, Any]:
    members = []
    for number, port in enumerate(ports):
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        member: dict[str, Any] = {"endpoint": {"address": address, "hostname": f"shop-{number}.example.com"}}
        if name.endswith("weighted"):
            member["load_balancing_weight"] = WEIGHTS[number]
        if name.endswith("keyed") and number != 1:
            member["metadata"] = {"filter_metadata": {"envoy.lb": {"hash_key": f"key {number}"}}}
        members.append(member)
    localities = [{"lb_endpoints": members}]
    if name.endswith("zoned"):
        parts = (("a", 1, members[:1]), ("b", 9, members[1:]))
        localities = [{"locality": {"zone": zone}, "load_balancing_weight": weight, "lb_endpoints": part} for zone, weight, part in parts]
    assignment = {"cluster_name": name, "endpoints": localities}
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", "load_assignment": assignment, **settings}


def _listener(name: str, kind: str, **config: Any) -> dict[str, Any]:
    typed = {"@type": f"{_TYPES}.filters.network.{kind}", "stat_prefix": name, **config}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": f"${name}"}}
    return {"name": name, "address": address, "filter_chains": [{"filters": [{"name": "f", "typed_config": typed}]}]}


def _http() -> dict[str, Any]:
    routes = [
        {
            "match": {"path_separated_prefix": f"/{name}"},
            "route": route,
            "request_headers_to_add": [{"header": {"key": "x-user", "value": "nobody"}, "append_action": "ADD_IF_ABSENT"}],
        }
        for name, route in ROUTES.items()
    ]
    return _listener(
        "HTTP",
        "http_connection_manager.v3.HttpConnectionManager",
        http_filters=[{"name": "r", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    )


def _tcp(name: str, **config: Any) -> dict[str, Any]:
    return _listener(name, "tcp_proxy.v3.TcpProxy", **config)
