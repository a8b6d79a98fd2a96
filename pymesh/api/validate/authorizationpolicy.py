"""AuthorizationPolicy: rules that can match, and attributes that their action can look at."""

import re
from collections.abc import Sequence

from ..models.authorizationpolicy import Action, AuthorizationPolicy, Condition, Operation, Rule, Source
from . import attachment, words
from .finding import Finding, Findings, below, verdict

_KEYS = (
    "source.ip", "remote.ip", "source.namespace", "source.serviceAccount", "source.principal", "source.trustDomain",
    "request.auth.principal", "request.auth.audiences", "request.auth.presenter", "destination.ip", "destination.port", "connection.sni",
)  # fmt: skip
_NESTED = re.compile(r"(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\.[^\[\]]+)(\[[^\[\]]+\])+")
_GONE = {
    "destination.namespace": "policies hold in their own namespace anyway",
    "destination.name": "use the selector",
    "destination.user": "use the selector",
}
_PORT = re.compile("[0-9]{1,9}")
_LONGEST_ACCOUNT = 320
_MUTUAL_TLS = ("source.namespace", "source.serviceAccount", "source.principal", "source.trustDomain")
_IDENTITIES = ("principals", "not_principals", "namespaces", "not_namespaces")
_TCP_SOURCES = (
    *_IDENTITIES, "ip_blocks", "not_ip_blocks", "remote_ip_blocks", "not_remote_ip_blocks", "service_accounts", "not_service_accounts",
)  # fmt: skip
"""What Istio counts among the facts of a connection."""
_CUSTOM_CANNOT = (
    "principals", "not_principals", "request_principals", "not_request_principals", "namespaces", "not_namespaces",
    "service_accounts", "not_service_accounts", "trust_domains", "not_trust_domains",
)  # fmt: skip
_LITERAL = r"[-a-zA-Z0-9._~%!$&'()+,;:@=]+"  # RFC 3986's pchar, without the star
_TEMPLATE = re.compile(rf"/?((\{{\*\}}|{_LITERAL})/)*(\{{\*\}}|\{{\*\*\}}(/{_LITERAL})*|{_LITERAL})/?")
"""A path template: whole segments `{*}`, and a `{**}` behind them."""


def check(spec: AuthorizationPolicy, namespace: str) -> Findings:
    """Everything wrong with one AuthorizationPolicy."""
    yield from attachment.check(spec.selector, spec.target_refs, namespace, single=spec.target_ref)
    yield from _action(spec)
    for index, rule in enumerate(spec.rules):
        yield from below(("rules", index), _rule(rule))
        if spec.action is Action.CUSTOM:
            yield from below(("rules", index), _for_custom(rule))
    if spec.action is Action.DENY:
        yield from _denies_all_tcp(spec.rules)


def _action(spec: AuthorizationPolicy) -> Findings:
    action = spec.action or Action.ALLOW
    if action is Action.CUSTOM and not (spec.provider and spec.provider.name):
        yield Finding((), "action CUSTOM needs provider.name")
    if action is not Action.CUSTOM and spec.provider is not None:
        yield Finding(("provider",), f"is for action CUSTOM, not for {action.value}")
    if action in (Action.DENY, Action.CUSTOM) and not spec.rules:
        yield Finding((), f"action {action.value} needs a rule: without one it has nothing to act on")


def _rule(rule: Rule) -> Findings:
    for name, entries in (("from_", rule.from_), ("to", rule.to)):
        if name in rule.model_fields_set and not entries:
            yield Finding((name.rstrip("_"),), "must not be an empty list")
    for index, origin in enumerate(rule.from_):
        yield from below(("from", index, "source"), _source(origin.source or Source()))
    for index, target in enumerate(rule.to):
        yield from below(("to", index, "operation"), _operation(target.operation or Operation()))
    for index, condition in enumerate(rule.when):
        yield from below(("when", index), _condition(condition))


def _source(source: Source) -> Findings:
    yield from _not_empty(source)
    for name in ("ip_blocks", "not_ip_blocks", "remote_ip_blocks", "not_remote_ip_blocks"):
        yield from _subnets((name,), getattr(source, name))
    accounts = ("service_accounts", "not_service_accounts")
    if any(getattr(source, name) for name in accounts) and any(getattr(source, name) for name in _IDENTITIES):
        yield Finding((), "service accounts cannot be set with principals or namespaces")
    for name in accounts:
        for index, account in enumerate(getattr(source, name)):
            yield from verdict((name, index), _account(account) if account else None)
    for name in ("trust_domains", "not_trust_domains"):
        for index, domain in enumerate(getattr(source, name)):
            slash = f'the trust domain "{domain}" must not hold a slash' if "/" in domain else None
            yield from verdict((name, index), _wildcard(domain) or slash)


def _account(text: str) -> str | None:
    if "*" not in text and text.count("/") <= 1 and all(text.split("/")) and len(text) <= _LONGEST_ACCOUNT:
        return None
    return f'"{text}" is not a service account ([namespace/]name, without wildcards)'


def _wildcard(text: str) -> str | None:
    """One `*`, at either end."""
    return None if "*" not in text[1:-1] and text.count("*") <= 1 else f'"{text}" may have one "*", at its beginning or its end'


def _operation(operation: Operation) -> Findings:
    yield from _not_empty(operation)
    for name in ("ports", "not_ports"):
        for index, port in enumerate(getattr(operation, name)):
            yield from verdict((name, index), _port(port) if port else None)
    for name in ("paths", "not_paths"):
        for index, path in enumerate(getattr(operation, name)):
            if ("{" in path or "}" in path) and not _TEMPLATE.fullmatch(path):
                sentence = f'in the path "{path}" only whole segments can be {{*}}, and one behind them {{**}}'
                yield Finding((name, index), sentence)


def _not_empty(part: Source | Operation) -> Findings:
    if not any(getattr(part, name) for name in part.model_fields_set):
        yield Finding((), "must have at least one field")
    for name in type(part).model_fields:
        for index, value in enumerate(getattr(part, name)):
            if not value:
                yield Finding((name, index), "must not be empty")


def _subnets(path: tuple[str, ...], blocks: Sequence[str]) -> Findings:
    for index, block in enumerate(blocks):
        yield from verdict((*path, index), words.subnet(block) if block else None)


def _condition(condition: Condition) -> Findings:
    key = condition.key
    if not key:
        yield Finding(("key",), "a condition needs a key")
    elif key in _GONE or key.startswith("destination.labels["):
        yield Finding(("key",), f'"{key}" is not supported: {_GONE.get(key, "use the selector")}')
    elif key not in _KEYS and not _NESTED.fullmatch(key):
        yield Finding(("key",), f'"{key}" is no attribute that a condition can look at')
    if not condition.values and not condition.not_values:
        yield Finding((), "needs values or notValues")
    for name in ("values", "not_values"):
        yield from _values(key, name, getattr(condition, name))


def _values(key: str, name: str, values: Sequence[str]) -> Findings:
    judge = _JUDGES.get(key)
    for index, value in enumerate(values):
        if not value:
            yield Finding((name, index), "must not be empty")
        elif judge is not None:
            yield from verdict((name, index), judge(value))


def _port(text: str) -> str | None:
    return None if _PORT.fullmatch(text) and int(text) <= 65535 else f'"{text}" is not a port'


_JUDGES = {
    "source.ip": words.subnet,
    "remote.ip": words.subnet,
    "destination.ip": words.subnet,
    "destination.port": _port,
    "source.serviceAccount": _account,
    "source.trustDomain": _wildcard,
}
"""What is asked of a condition's values, by its key."""


def _for_custom(rule: Rule) -> Findings:
    """An outside authority is asked before anything is known of tokens, and instead of what mutual TLS tells."""
    for index, origin in enumerate(rule.from_):
        for name in _CUSTOM_CANNOT:
            if origin.source is not None and getattr(origin.source, name):
                yield Finding(("from", index, "source", name), "action CUSTOM cannot look at this")
    for index, condition in enumerate(rule.when):
        if condition.key in _MUTUAL_TLS or condition.key.startswith("request.auth."):
            yield Finding(("when", index, "key"), f'action CUSTOM cannot look at "{condition.key}"')


def _denies_all_tcp(rules: Sequence[Rule]) -> Findings:
    """On TCP a rule loses what only HTTP has, and what is left of it may be everything."""
    for index, rule in enumerate(rules):
        ports = any(target.operation and (target.operation.ports or target.operation.not_ports) for target in rule.to)
        origins = any(origin.source and any(getattr(origin.source, name) for name in _TCP_SOURCES) for origin in rule.from_)
        if (rule.to and not ports) or (rule.from_ and not rule.to and not origins):
            yield Finding(("rules", index), "looks at HTTP only and names no port: on TCP ports it denies every connection", "warning")

