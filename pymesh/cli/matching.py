"""Conditions and destinations of chains and routes in a few words, close to istioctl's."""

from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

_MANAGER, _TCP_PROXY = "HttpConnectionManager", "TcpProxy"


def chain(message: Message) -> str:
    """What a connection has to be to be taken by a filter chain."""
    wanted = message.get("filter_chain_match", {})
    ranges = (f"{one.get('address_prefix')}/{one.get('prefix_len', 0)}" for one in wanted.get("prefix_ranges", ()))
    parts = {
        "SNI": wanted.get("server_names", ()),
        "Trans": filter(None, [wanted.get("transport_protocol")]),
        "App": wanted.get("application_protocols", ()),
        "Addr": [*ranges, *([f"*:{wanted['destination_port']}"] if "destination_port" in wanted else [])],
    }
    told = [f"{name}: {','.join(values)}" for name, found in parts.items() if (values := list(found))]
    return "; ".join(told) or "ALL"


def destination(message: Message) -> str:
    """Where the connections of a filter chain go."""
    for one in message.get("filters", ()):
        config = one.get("typed_config", {})
        kind = config.get("@type", "").rpartition(".")[2]
        if kind == _MANAGER:
            return _requests(config)
        if kind == _TCP_PROXY:
            return f"Cluster: {_clusters(config)}"
    return "Non-HTTP/Non-TCP"


def api(message: Message) -> str:
    """Where the calls of a proxyless client go."""
    return _requests(message.get("api_listener", {}).get("api_listener", {}))


def kind(message: Message) -> str:
    """What a listener speaks, in istioctl's words: HTTP, TCP, HTTP+TCP, or UNKNOWN."""
    chains = (*message.get("filter_chains", ()), *([message["default_filter_chain"]] if "default_filter_chain" in message else []))
    types = {one.get("typed_config", {}).get("@type", "").rpartition(".")[2] for chain in chains for one in chain.get("filters", ())}
    found = [word for word, type_name in (("HTTP", _MANAGER), ("TCP", _TCP_PROXY)) if type_name in types]
    if "api_listener" in message:
        return "HTTP"
    return "+".join(found) or "UNKNOWN"


def request(match: Message) -> str:
    """What a request has to be, its path first."""
    return " ".join(filter(None, (_path(match), *_more(match))))


def without_cluster(route: Message) -> str:
    """What a route does that sends nothing on; empty for one that does."""
    if "direct_response" in route:
        return str(route["direct_response"].get("status", ""))
    return "redirect" if "redirect" in route else ""


def domains(found: list[str]) -> str:
    """The first, and how many more there are."""
    return found[0] if len(found) == 1 else f"{found[0]}, {found[1]} + {len(found) - 2} more..." if len(found) > 2 else ", ".join(found)


def _requests(manager: Message) -> str:
    if "rds" in manager:
        return f"Route: {manager['rds'].get('route_config_name', '')}"
    hosts = manager.get("route_config", {}).get("virtual_hosts", ())
    routes = [route for host in hosts for route in host.get("routes", ())]
    clusters = dict.fromkeys(_clusters(route.get("route", {})) for route in routes)
    return f"Inline Route: {', '.join(filter(None, clusters))}"


def _clusters(action: Message) -> str:
    """The cluster of a route or TCP proxy, or several with their weights."""
    if "cluster" in action:
        return str(action["cluster"])
    shares = action.get("weighted_clusters", {}).get("clusters", ())
    return ", ".join(f"{one.get('name')} ({one.get('weight', 0)})" for one in shares)


def _path(match: Message) -> str:
    if "path" in match:
        return str(match["path"])
    if "prefix" in match:
        return f"{match['prefix']}*"
    if "path_separated_prefix" in match:
        return f"{match['path_separated_prefix']}[/*]"
    if "safe_regex" in match:
        return f"regex {match['safe_regex'].get('regex', '')}"
    return "CONNECT" if "connect_matcher" in match else ""


def _more(match: Message) -> Iterator[str]:
    for one in match.get("headers", ()):
        yield f"{'!' if one.get('invert_match') else ''}{one.get('name')}{_value(one)}"
    for one in match.get("query_parameters", ()):
        yield f"?{one.get('name')}{_value(one)}"


def _value(condition: Message) -> str:
    """`=exact`, `=prefix*`, `=*suffix`, `~regex`; nothing where any value will do."""
    found = condition.get("string_match", {})
    if "exact" in found:
        return f"={found['exact']}"
    if "prefix" in found:
        return f"={found['prefix']}*"
    if "suffix" in found:
        return f"=*{found['suffix']}"
    return f"~{found['safe_regex'].get('regex', '')}" if "safe_regex" in found else ""
