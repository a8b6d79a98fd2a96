"""What we refuse of Istio's resources because no proxy of this mesh would honour it: a table of fields and of values."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pymesh.api import Problem, Resource

Path = tuple[str | int, ...]

_POLICIES = ("trafficPolicy", "trafficPolicy.portLevelSettings[]", "subsets[].trafficPolicy", "subsets[].trafficPolicy.portLevelSettings[]")
_POLICY_FIELDS = (
    "outlierDetection",
    "loadBalancer.consistentHash",
    "loadBalancer.localityLbSetting",
    "loadBalancer.zoneAwareLbSetting",
    "loadBalancer.warmupDurationSecs",
    "loadBalancer.warmup",
    "connectionPool.http.useClientProtocol",
    "connectionPool.http.maxConcurrentStreams",
    "connectionPool.http.http2KeepAlive",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
    "tls.credentialName",
)

FIELDS: dict[str, tuple[str, ...]] = {
    "VirtualService": (
        "http[].fault",
        "http[].mirror",
        "http[].mirrors",
        "http[].mirrorPercent",
        "http[].mirrorPercentage",
        "http[].corsPolicy",
        "http[].delegate",
        "http[].retries.retryRemoteLocalities",
        "http[].match[].statPrefix",
        "tcp[].match[].sourceSubnet",
    ),
    "DestinationRule": tuple(f"{policy}.{field}" for policy in _POLICIES for field in _POLICY_FIELDS),
    "Gateway": (
        "servers[].defaultEndpoint",
        "servers[].tls.credentialName",
        "servers[].tls.credentialNames",
        "servers[].tls.caCertCredentialName",
        "servers[].tls.tlsCertificates",
        "servers[].port.targetPort",
    ),
}
"""By kind, the fields that may not be set."""

VALUES: dict[str, dict[str, str]] = {
    "VirtualService": {
        "http[].match[].headers.*": r"(?!@request\.auth\.claims).*",
        "http[].match[].withoutHeaders.*": r"(?!@request\.auth\.claims).*",
        "http[].redirect.redirectCode": "0|301|302|303|307|308",
    },
    "DestinationRule": {f"{policy}.connectionPool.http.h2UpgradePolicy": "DEFAULT|DO_NOT_UPGRADE" for policy in _POLICIES},
    "Gateway": {
        "servers[].port.protocol": "(?i:HTTP|HTTPS|HTTP2|GRPC|GRPC-WEB|TLS|TCP)",
        "servers[].tls.mode": "PASSTHROUGH|SIMPLE|MUTUAL|ISTIO_MUTUAL|OPTIONAL_MUTUAL",
        "servers[].bind": "(?!unix:).*",
    },
    "ServiceEntry": {"resolution": "NONE|STATIC|DNS|DNS_ROUND_ROBIN"},
}
"""By kind, the fields of which only some values are honoured, as a pattern; `.*` at the end means the keys of a map."""


def refusals(resource: Resource) -> list[Problem]:
    """Every field and value of a resource that cannot be honoured, each at its place in the file."""
    found = [problem for field in FIELDS.get(resource.kind, ()) for problem in _refused_field(resource, field)]
    for field, pattern in VALUES.get(resource.kind, {}).items():
        found += _refused_values(resource, field, pattern)
    return found


def problem_at(resource: Resource, path: Path, message: str, severity: Literal["error", "warning"] = "error") -> Problem:
    """A Problem at a field of a resource's spec."""
    where = resource.position_of("spec", *path)
    return Problem.at(where, f"{resource.kind} {resource.namespace}/{resource.name}: {message}", severity)


def _refused_field(resource: Resource, field: str) -> Iterator[Problem]:
    for path, value in walk(resource.spec, field):
        if value:
            yield problem_at(resource, path, f"{spell(path)} is not supported")


def _refused_values(resource: Resource, field: str, pattern: str) -> Iterator[Problem]:
    for path, value in walk(resource.spec, field):
        text = str(getattr(value, "value", value))
        if value is not None and not re.fullmatch(pattern, text):
            yield problem_at(resource, path, f"{spell(path)}: {text} is not supported")


def walk(value: Any, field: str) -> Iterator[tuple[Path, Any]]:
    """The places that a dotted field stands for in a model, with their values: `a[]` for each of a list, `a.*` for each key of a map."""
    return _walk(value, tuple(field.replace("[]", ".[]").split(".")), ())


def _walk(value: Any, parts: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if value is None:
        return
    if not parts:
        yield path, value
    elif parts[0] == "[]":
        for index, item in enumerate(value):
            yield from _walk(item, parts[1:], (*path, index))
    elif parts[0] == "*":
        yield from (((*path, key), key) for key in value)
    else:
        yield from _walk(getattr(value, _attribute(parts[0]), None), parts[1:], (*path, parts[0]))


def spell(path: Path) -> str:
    """A path as people write it: `http[0].fault`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _attribute(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: "_" + match[0].lower(), name)
