"""AuthorizationPolicies as Envoy's RBAC: each rule is a policy, whose permissions are what is asked and whose principals who asks.

So far for gRPC servers only (gRFC A41). They know neither tokens nor the metadata of other filters, so what looks at these holds for
nobody; and the templates of paths, which they do not know either, are written as regular expressions.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pymesh.xds import proto

from ..model.authorization import AuthorizationPolicy
from ..model.mesh import Mesh
from .common import cidr

_RBAC = proto.rbac.RBAC
_Permission = proto.rbac.Permission
_Principal = proto.rbac.Principal
_Make = Callable[[str], Any]

FILTER = "envoy.filters.http.rbac"
ALLOW, DENY = _RBAC.ALLOW, _RBAC.DENY

_DEFAULT_DOMAIN = "cluster.local"
_UNSEEN = re.compile(r"(?i):scheme|grpc-.*")
"""Headers that servers refuse to look at."""
_HEADER = re.compile(r"request\.headers\[([^\[\]]+)\]")


def rules(policies: Iterable[AuthorizationPolicy], mesh: Mesh, action: int) -> Any:
    """The rules of policies of one action, as an HTTP filter's. ALLOW without any allows nobody."""
    made = _RBAC(action=action)
    for policy in policies:
        for index, rule in enumerate(policy.rules):
            name = f"ns[{policy.namespace}]-policy[{policy.name}]-rule[{index}]"
            made.policies[name].CopyFrom(_policy(rule, _Attributes(policy.namespace, mesh)))
    return proto.http_rbac.RBAC(rules=made)


def _policy(rule: Any, attributes: "_Attributes") -> Any:
    """One of `from`, one of `to`, and all of `when`."""
    permissions, principals = attributes.of_requests, attributes.of_clients
    asked = list(_conditions(_Permission, rule.when, attributes.asked_when))
    asking = list(_conditions(_Principal, rule.when, attributes.asking_when))
    operations = [target.operation for target in rule.to if target.operation] or [None]
    sources = [origin.source for origin in rule.from_ if origin.source] or [None]
    return proto.rbac.Policy(
        permissions=[_all(_Permission, [*_fields(_Permission, one, permissions), *asked]) for one in operations],
        principals=[_all(_Principal, [*_fields(_Principal, one, principals), *asking]) for one in sources],
    )


def _fields(kind: Any, message: Any, makers: Mapping[str, _Make]) -> Iterator[Any]:
    """What the fields of a source or an operation ask for, each with its `not` twin."""
    for name, make in makers.items() if message is not None else ():
        yield from _values(kind, getattr(message, name), getattr(message, f"not_{name}"), make)


def _conditions(kind: Any, conditions: Iterable[Any], maker: Callable[[str], _Make | None]) -> Iterator[Any]:
    for one in conditions:
        make = maker(one.key)
        if make is not None:
            yield from _values(kind, one.values, one.not_values, make)


def _values(kind: Any, values: Iterable[str], unwanted: Iterable[str], make: _Make) -> Iterator[Any]:
    if values:
        yield _any(kind, map(make, values))
    if unwanted:
        yield _not(kind, _any(kind, map(make, unwanted)))


class _Attributes:
    """How values of a policy's attributes are compared."""

    def __init__(self, namespace: str, mesh: Mesh) -> None:
        self._namespace = namespace
        self._mesh = mesh
        self.of_requests: dict[str, _Make] = {
            "hosts": lambda value: _Permission(header=_header(":authority", value, ignore_case=True)),
            "ports": _port,
            "methods": lambda value: _Permission(header=_header(":method", value)),
            "paths": lambda value: _Permission(url_path={"path": _path(value)}),
        }
        self.of_clients: dict[str, _Make] = {
            "principals": self._principal,
            "request_principals": _nobody,
            "namespaces": _namespace,
            "service_accounts": self._account,
            "ip_blocks": lambda value: _Principal(direct_remote_ip=cidr(value)),
            "remote_ip_blocks": lambda value: _Principal(remote_ip=cidr(value)),
            "trust_domains": _domain,
        }

    def asked_when(self, key: str) -> _Make | None:
        """Compares an attribute of the connection; None for a key that is another kind of attribute."""
        if key.startswith("experimental.envoy.filters."):
            return lambda _: _not(_Permission, _Permission(any=True))
        makers: dict[str, _Make] = {
            "destination.ip": lambda value: _Permission(destination_ip=cidr(value)),
            "destination.port": _port,
            "connection.sni": lambda value: _Permission(requested_server_name=_text(value)),
        }
        return makers.get(key)

    def asking_when(self, key: str) -> _Make | None:
        """Compares an attribute of the client or of its request's headers; None for a key that is another kind of attribute."""
        if key.startswith("request.auth."):
            return _nobody
        named = _HEADER.fullmatch(key)
        if named:
            header = named[1]
            return _nobody if _UNSEEN.fullmatch(header) else lambda value: _Principal(header=_header(header, value))
        names = {
            "source.ip": "ip_blocks", "remote.ip": "remote_ip_blocks", "source.namespace": "namespaces",
            "source.serviceAccount": "service_accounts", "source.principal": "principals", "source.trustDomain": "trust_domains",
        }  # fmt: skip
        return self.of_clients[names[key]] if key in names else None

    def _principal(self, value: str) -> Any:
        """An identity; in each spelling of the mesh's trust domain where it names that, or `cluster.local`, which stands for it."""
        domain, slash, rest = value.partition("/")
        known = self._mesh.trust_domains
        spelled = [f"{one}/{rest}" for one in known] if slash and domain in (*known, _DEFAULT_DOMAIN) else [value]
        return _any(_Principal, [_identity(_text(one, "spiffe://")) for one in spelled])

    def _account(self, value: str) -> Any:
        namespace, slash, account = value.rpartition("/")
        place = namespace if slash else self._namespace
        return _identity(_regex(f"spiffe://.+/ns/{re.escape(place)}/(.+/|)sa/{re.escape(account)}(/.+)?"))


def _namespace(value: str) -> Any:
    return _identity(_regex(f".*/ns/{_pattern(value)}/.*"))


def _domain(value: str) -> Any:
    return _identity(_regex(f"spiffe://{_pattern(value)}/.*"))


def _identity(name: Any) -> Any:
    return _Principal(authenticated={"principal_name": name})


def _nobody(_: str) -> Any:
    return _not(_Principal, _Principal(any=True))


def _port(value: str) -> Any:
    return _Permission(destination_port=int(value))


def _path(value: str) -> Any:
    """A path, or a template in which `{*}` is one segment and `{**}` any number of them."""
    if "{" not in value:
        return _text(value)
    steps = {"{*}": "[^/]+", "{**}": ".*"}
    return _regex("".join(steps.get(part) or re.escape(part) for part in re.split(r"(\{\*\*?\})", value)))


def _header(name: str, value: str, *, ignore_case: bool = False) -> Any:
    if value == "*":
        return proto.route_components.HeaderMatcher(name=name, present_match=True)
    text = _text(value)
    text.ignore_case = ignore_case
    return proto.route_components.HeaderMatcher(name=name, string_match=text)


def _text(value: str, head: str = "") -> Any:
    """`*` is any text but none, `a*` a prefix, `*a` a suffix, and all else itself."""
    if value == "*":
        return _regex(".+")
    if value.startswith("*"):
        return proto.string_matcher.StringMatcher(suffix=value[1:])
    if value.endswith("*"):
        return proto.string_matcher.StringMatcher(prefix=head + value[:-1])
    return proto.string_matcher.StringMatcher(exact=head + value)


def _regex(text: str) -> Any:
    return proto.string_matcher.StringMatcher(safe_regex={"regex": text})


def _pattern(value: str) -> str:
    """A value with `*` anywhere, as a regular expression."""
    return ".*".join(map(re.escape, value.split("*")))


def _all(kind: Any, found: list[Any]) -> Any:
    if len(found) < 2:
        return found[0] if found else kind(any=True)
    return kind(and_rules={"rules": found}) if kind is _Permission else kind(and_ids={"ids": found})


def _any(kind: Any, found: Iterable[Any]) -> Any:
    known = list(found)
    if len(known) == 1:
        return known[0]
    return kind(or_rules={"rules": known}) if kind is _Permission else kind(or_ids={"ids": known})


def _not(kind: Any, one: Any) -> Any:
    return kind(not_rule=one) if kind is _Permission else kind(not_id=one)
