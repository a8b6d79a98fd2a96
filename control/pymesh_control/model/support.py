"""What we refuse of Istio's resources because no proxy of this mesh would honour it: a table of fields and of values."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pymesh.api import Problem, Resource

from .gatewayapi import sessions
from .protocol import of_port
from .service import DYNAMIC_DNS

Path = tuple[str | int, ...]

_OF_RULES_ALONE = ("requestMirror", "requestRedirect", "urlRewrite", "cors", "externalAuth", "extensionRef")
"""Filters that Istio does not have for single backends either."""

FIELDS: dict[str, tuple[str, ...]] = {
    "VirtualService": (
        "http[].fault.delay.exponentialDelay",
        "http[].fault.abort.http2Error",
    ),
    "EnvoyFilter": ("targetRefs",),
    "ConfigMap": ("outboundTrafficPolicy.tls.credentialName",),
    "HTTPRoute": (
        *(f"rules[].filters[].{name}" for name in ("externalAuth", "extensionRef")),
        *(f"rules[].backendRefs[].filters[].{name}" for name in _OF_RULES_ALONE),
    ),
    "GRPCRoute": (
        "rules[].filters[].extensionRef",
        *(f"rules[].backendRefs[].filters[].{name}" for name in ("requestMirror", "extensionRef")),
    ),
    "KubernetesGateway": ("tls.backend",),
    "BackendTLSPolicy": ("options",),
    "Sidecar": ("ingress[].tls.insecureSkipVerify",),
    "Gateway": (
        "servers[].tls.insecureSkipVerify",
        "servers[].port.targetPort",
    ),
}
"""By kind, the fields that may not be set."""

INERT = {
    "AuthorizationPolicy": "only gRPC servers without a proxy enforce it: what it forbids elsewhere is NOT forbidden",
    "RequestAuthentication": "no proxy of this mesh reads tokens: what has none, or a bad one, is NOT turned away",
    "Telemetry": "metrics and access logs are those of the mesh configuration",
    "TrafficExtension": "proxies run no foreign programs",
    "WasmPlugin": "proxies run no foreign programs",
}
"""Kinds that are read and checked, and do nothing: what that means."""

_NAME = r"\*|(\*\.)?[^*]+"
"""A host whose wildcard, if any, is a whole label: proxies take no other as a server name."""

VALUES: dict[str, dict[str, str]] = {
    "VirtualService": {
        "http[].match[].headers.*": r"(?!@request\.auth\.claims).*",
        "http[].match[].withoutHeaders.*": r"(?!@request\.auth\.claims).*",
        "tls[].match[].sniHosts[]": _NAME,
        "http[].redirect.redirectCode": "0|301|302|303|307|308",
    },
    "Gateway": {
        "servers[].port.protocol": "(?!(?i:UDP|HTTP_PROXY)).*",
        "servers[].bind": "(?!unix:).*",
    },
    "EnvoyFilter": {
        "configPatches[].applyTo": "(?!EXTENSION_CONFIG|BOOTSTRAP).*",
        "configPatches[].match.context": "(?!WAYPOINT).*",
    },
    "ConfigMap": {"outboundTrafficPolicy.tls.mode": "DISABLE|SIMPLE|MUTUAL"},
    "Sidecar": {"egress[].bind": "(?!unix:).*", "egress[].port.protocol": "(?!(?i:HTTP_PROXY)).*"},
    "EndpointSlice": {"addressType": "IPv4|IPv6"},
    **{kind: {"useDefaultGateways": "None"} for kind in ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")},
    "KubernetesGateway": {
        "defaultScope": "None",
        "tls.frontend.default.validation.mode": "AllowValidOnly",
        "tls.frontend.perPort[].tls.validation.mode": "AllowValidOnly",
    },
    "ServiceEntry": {"hosts[]": _NAME},
}
"""By kind, the fields of which only some values are honoured, as a pattern; `.*` at the end means the keys of a map."""


def refusals(resource: Resource) -> list[Problem]:
    """Every field and value of a resource that cannot be honoured, each at its place in the file."""
    found = [problem_at(resource, path, sentence) for path, sentence in _refused(resource.spec, _tree(resource.kind), ())]
    if resource.kind == "ConfigMap" and not _log_format_is_usable(resource.spec):
        found.append(problem_at(resource, ("accessLogFormat",), "accessLogFormat is no JSON object, which the encoding JSON needs"))
    if resource.kind in ("HTTPRoute", "GRPCRoute"):
        found += [problem_at(resource, path, f"{spell(path)}: {sentence}") for path, sentence in sessions.refused(resource.spec)]
    if resource.kind == "ServiceEntry":
        found += [problem_at(resource, path, sentence) for path, sentence in _unreachable_ports(resource.spec)]
    return found


def _unreachable_ports(spec: Any) -> Iterator[tuple[Path, str]]:
    """With DYNAMIC_DNS requests say the port themselves, and proxies add none but that of HTTP or HTTPS."""
    if spec.resolution is None or spec.resolution.value != DYNAMIC_DNS:
        return
    for index, port in enumerate(spec.ports):
        protocol = of_port(port.number, port.name, port.protocol or "")
        if port.target_port not in (None, port.number, _HTTPS) and protocol.is_http:
            path = ("ports", index, "targetPort")
            yield path, f"{spell(path)}: requests that are resolved by DYNAMIC_DNS go to the port that their Host header says"


_HTTPS = 443


def _log_format_is_usable(spec: Any) -> bool:
    if not spec.access_log_format or spec.access_log_encoding is None or spec.access_log_encoding.value != "JSON":
        return True
    try:
        return isinstance(json.loads(spec.access_log_format), dict)
    except (ValueError, RecursionError):
        return False


def problem_at(resource: Resource, path: Path, message: str, severity: Literal["error", "warning"] = "error") -> Problem:
    """A Problem at a field of a resource's spec."""
    where = resource.position_of(*resource.root, *path)
    return Problem.at(where, f"{resource.kind} {resource.namespace}/{resource.name}: {message}", severity)


@dataclass(slots=True)
class _Node:
    """One step of the tables' dotted fields, gathered into a tree so that a resource is walked once and only where it is set."""

    steps: "dict[str, _Node]" = field(default_factory=dict)
    forbidden: bool = False
    allowed: re.Pattern[str] | None = None

    def verdict(self, value: Any, path: Path) -> str:
        """A sentence when the value at this step is refused."""
        if self.forbidden and value:
            return f"{spell(path)} is not supported"
        if self.allowed:
            text = str(getattr(value, "value", value))
            return "" if self.allowed.fullmatch(text) else f"{spell(path)}: {text} is not supported"
        return ""


@functools.cache
def _tree(kind: str) -> _Node:
    root = _Node()
    for name in FIELDS.get(kind, ()):
        _grow(root, name).forbidden = True
    for name, pattern in VALUES.get(kind, {}).items():
        _grow(root, name).allowed = re.compile(pattern)
    return root


def _grow(node: _Node, name: str) -> _Node:
    for part in _parts(name):
        node = node.steps.setdefault(part, _Node())
    return node


def _refused(value: Any, node: _Node, path: Path) -> Iterator[tuple[Path, str]]:
    if value is None:
        return
    sentence = node.verdict(value, path)
    if sentence:
        yield path, sentence
        return
    for part, below in node.steps.items():
        for place, inner in _step(value, part, path):
            yield from _refused(inner, below, place)


def walk(value: Any, name: str) -> Iterator[tuple[Path, Any]]:
    """The places that a dotted field stands for in a model, with their values: `a[]` for each of a list, `a.*` for each key of a map,
    `a{}` for each of its values."""
    return _walk(value, _parts(name), ())


def _walk(value: Any, parts: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if value is None:
        return
    if not parts:
        yield path, value
        return
    for place, inner in _step(value, parts[0], path):
        yield from _walk(inner, parts[1:], place)


def _step(value: Any, part: str, path: Path) -> Iterator[tuple[Path, Any]]:
    """Where one step of a dotted field leads from a value: each item of a list, each key of a map, or one attribute."""
    if part == "{}":
        yield from (((*path, key), inner) for key, inner in value.items())
    elif part == "[]":
        for index, item in enumerate(value):
            yield (*path, index), item
    elif part == "*":
        yield from (((*path, key), key) for key in value)
    else:
        yield (*path, part), getattr(value, _attribute(part), None)


def spell(path: Path) -> str:
    """A path as people write it: `http[0].fault`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@functools.cache
def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.replace("[]", ".[]").replace("{}", ".{}").split("."))


@functools.cache
def _attribute(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: "_" + match[0].lower(), name)
