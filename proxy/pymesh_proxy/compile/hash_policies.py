"""Hash policies of routes and TCP proxies."""

from collections.abc import Callable

from ..route import hashing, rewrite
from ..route.cookies import NewCookie
from ..route.hashing import HashKey
from .fields import Reader
from .substitution import substitution


def route_hash(route: Reader, *, new_cookies: bool = True) -> HashKey | None:
    """A RouteAction's `hash_policy`; None when it has none that finds anything. `new_cookies` False: who has no cookie gets none."""
    policies = []
    for item in route.items("hash_policy"):
        policy = _policy(item, new_cookies)
        if policy is not None:
            policies.append((policy, bool(item.message.terminal)))
    return hashing.combined(policies) if policies else None


def weights_draw(route: Reader, weighted: Reader) -> HashKey | None:
    """What decides among weighted clusters instead of a random number."""
    if weighted.which("random_value_specifier") == "header_name":
        return hashing.header_number(weighted.message.header_name)
    return route_hash(route, new_cookies=False) if weighted.wrapped("use_hash_policy", False) else None


def tcp_hashes_source(proxy: Reader) -> bool:
    """A TcpProxy's `hash_policy`: whether it goes by the client's address."""
    for item in proxy.items("hash_policy"):
        item.only("source_ip")
        Reader(item.message.source_ip, item.at("source_ip"), item.problems).only()
    return bool(len(proxy.message.hash_policy))


def _policy(item: Reader, new_cookies: bool) -> HashKey | None:
    item.only("cookie", *_POLICIES, "terminal")
    kind = item.which("policy_specifier")
    child = item.child(kind) if kind else None
    if child is None:
        return None
    if kind == "cookie":
        return _cookie(child, new_cookies)
    return _POLICIES[kind](child) if kind in _POLICIES else None


def _header(config: Reader) -> HashKey:
    config.only("header_name", "regex_rewrite")
    regex = config.child("regex_rewrite")
    return hashing.header(config.message.header_name, rewrite.replace_all(*substitution(regex)) if regex is not None else None)


def _cookie(config: Reader, generate: bool) -> HashKey:
    new = new_cookie(config)
    return hashing.cookie(new.name, new if generate and config.has("ttl") else None)


def new_cookie(config: Reader) -> NewCookie:
    """A cookie that clients are to be given."""
    config.only("name", "ttl", "path", "attributes")
    message = config.message
    for attribute in config.items("attributes"):
        attribute.only("name", "value")
    attributes = tuple((attribute.name, attribute.value) for attribute in message.attributes)
    return NewCookie(name=message.name, ttl=int(config.seconds("ttl", 0.0)), path=message.path, attributes=attributes)


def _connection(config: Reader) -> HashKey | None:
    config.only("source_ip")
    return hashing.source_ip if config.message.source_ip else None


def _query_parameter(config: Reader) -> HashKey:
    config.only("name")
    return hashing.query_parameter(config.message.name)


_POLICIES: dict[str, Callable[[Reader], HashKey | None]] = {
    "header": _header,
    "connection_properties": _connection,
    "query_parameter": _query_parameter,
}
