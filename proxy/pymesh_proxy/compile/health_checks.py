"""A cluster's active health checks, and what endpoints say of their own."""

import dataclasses
from typing import Any

from google.protobuf import json_format

from pymesh.address import is_ip

from ..http.headers import Fields
from ..route.edits import Addition, Append
from ..upstream.config import Discovery
from ..upstream.health_config import EndpointCheck, GrpcProbe, HealthCheckConfig, HttpProbe, Statuses, TcpProbe
from .addresses import socket_address
from .fields import Reader
from .headers import addition
from .strings import string_test

_HONOURED = (
    "timeout",
    "interval",
    "initial_jitter",
    "interval_jitter",
    "interval_jitter_percent",
    "unhealthy_threshold",
    "healthy_threshold",
    "reuse_connection",
    "http_health_check",
    "tcp_health_check",
    "grpc_health_check",
    "no_traffic_interval",
    "no_traffic_healthy_interval",
    "unhealthy_interval",
    "unhealthy_edge_interval",
    "healthy_edge_interval",
    "tls_options",
    "transport_socket_match_criteria",
)
_HARMLESS = {
    "always_log_health_check_failures": "there is no log of checks to write them to",
    "always_log_health_check_success": "there is no log of checks to write them to",
}

_METHODS = {"METHOD_UNSPECIFIED": b"GET"}


def health_check(cluster: Reader, discovery: Discovery) -> HealthCheckConfig | None:
    """The one entry of `health_checks`, as Envoy takes no more."""
    entries = cluster.items("health_checks")
    if not entries:
        return None
    if len(entries) > 1:
        cluster.refuse("health_checks", "multiple health checks are not supported, as in Envoy")
    if discovery in (Discovery.ORIGINAL_DST, Discovery.DYNAMIC):
        cluster.refuse("health_checks", f"endpoints of a cluster of type {discovery.name} are not checked")
    lasting = discovery in (Discovery.EDS, Discovery.STRICT_DNS) and not cluster.message.ignore_health_on_host_removal
    return _entry(entries[0], lasting)


def _entry(reader: Reader, lasting: bool) -> HealthCheckConfig:
    reader.only(*_HONOURED, harmless=_HARMLESS)
    interval = reader.seconds("interval", 0.0)
    unhealthy = reader.seconds("unhealthy_interval", interval)
    quiet = reader.seconds("no_traffic_interval", 60.0)
    return HealthCheckConfig(
        probe=_probe(reader),
        timeout=reader.seconds("timeout", 0.0),
        interval=interval,
        unhealthy_threshold=reader.wrapped("unhealthy_threshold", 1),
        healthy_threshold=reader.wrapped("healthy_threshold", 1),
        unhealthy_interval=unhealthy,
        unhealthy_edge_interval=reader.seconds("unhealthy_edge_interval", unhealthy),
        healthy_edge_interval=reader.seconds("healthy_edge_interval", interval),
        no_traffic_interval=quiet,
        no_traffic_healthy_interval=reader.seconds("no_traffic_healthy_interval", quiet),
        initial_jitter=reader.seconds("initial_jitter", 0.0),
        interval_jitter=reader.seconds("interval_jitter", 0.0),
        interval_jitter_percent=reader.message.interval_jitter_percent,
        reuse=reader.wrapped("reuse_connection", True),
        outweighs_removal=lasting,
        alpn=_alpn(reader.child("tls_options")),
        transport_match=_criteria(reader),
    )


def _alpn(reader: Reader | None) -> tuple[str, ...]:
    if reader is None:
        return ()
    reader.only("alpn_protocols")
    return tuple(reader.message.alpn_protocols)


def _criteria(reader: Reader) -> tuple[tuple[str, str], ...] | None:
    if not reader.has("transport_socket_match_criteria"):
        return None
    labels = json_format.MessageToDict(reader.message.transport_socket_match_criteria)
    return tuple(sorted((key, str(value)) for key, value in labels.items()))


def _probe(reader: Reader) -> HttpProbe | TcpProbe | GrpcProbe:
    kind = reader.which("health_checker")
    child = reader.child(kind) if kind in _PROBES else None
    return _PROBES[kind](child) if child is not None else TcpProbe()


def _http(reader: Reader) -> HttpProbe:
    reader.only(
        "host",
        "path",
        "receive",
        "response_buffer_size",
        "request_headers_to_add",
        "request_headers_to_remove",
        "expected_statuses",
        "retriable_statuses",
        "codec_client_type",
        "service_name_matcher",
        "method",
    )
    codec = reader.choice("codec_client_type")
    if codec not in ("HTTP1", "HTTP2"):
        reader.refuse("codec_client_type", f"{codec} is not spoken; HTTP1 and HTTP2 are")
    matcher = reader.child("service_name_matcher")
    method = reader.choice("method")
    return HttpProbe(
        path=reader.message.path.encode(),
        host=reader.message.host,
        method=_METHODS.get(method, method.encode()),
        http2=codec == "HTTP2",
        add=_Edit.of(reader, "request_headers_to_add", reader.message.request_headers_to_remove),
        expected=_statuses(reader, "expected_statuses") or (range(200, 201),),
        retriable=_statuses(reader, "retriable_statuses"),
        service_name=string_test(matcher) if matcher is not None else None,
        receive=tuple(map(_payload, reader.items("receive"))),
        buffer=reader.wrapped("response_buffer_size", 1024),
    )


def _statuses(reader: Reader, name: str) -> Statuses:
    found = []
    for item in reader.items(name):
        item.only("start", "end")
        start, end = item.message.start, item.message.end
        if not 100 <= start < end <= 600:
            item.refuse("", f"[{start}, {end}) is no range of statuses within [100, 600)")
        found.append(range(start, end))
    return tuple(found)


def _tcp(reader: Reader) -> TcpProbe:
    reader.only("send", "receive")
    send = reader.child("send")
    return TcpProbe(send=_payload(send) if send is not None else b"", receive=tuple(map(_payload, reader.items("receive"))))


def _payload(reader: Reader) -> bytes:
    """Text is hexadecimal."""
    reader.only("text", "binary")
    if reader.which("payload") == "binary":
        return bytes(reader.message.binary)
    try:
        return bytes.fromhex(reader.message.text)
    except ValueError:
        reader.refuse("text", f"{reader.message.text!r} is not hexadecimal")
        return b""


def _grpc(reader: Reader) -> GrpcProbe:
    reader.only("service_name", "authority", "initial_metadata")
    return GrpcProbe(
        service=reader.message.service_name, authority=reader.message.authority, add=_Edit.of(reader, "initial_metadata", ())
    )


_PROBES: dict[str, Any] = {"http_health_check": _http, "tcp_health_check": _tcp, "grpc_health_check": _grpc}


@dataclasses.dataclass(frozen=True, slots=True)
class _Edit:
    """Changes to a check's fields; two that say the same are equal, so that a cluster which is sent again keeps its checks."""

    remove: frozenset[bytes]
    add: tuple[tuple[bytes, bytes, Append], ...]

    @classmethod
    def of(cls, reader: Reader, name: str, remove: Any) -> "_Edit | None":
        added = [made for item in reader.items(name) if (made := _constant(item)) is not None]
        removed = frozenset(one.lower().encode() for one in remove)
        return cls(removed, tuple(added)) if added or removed else None

    def __call__(self, fields: Fields) -> None:
        for name, value, action in self.add:
            present = any(name == other for other, _ in fields)
            if action is Append.ADD_IF_ABSENT and present:
                continue
            if action is Append.OVERWRITE_IF_EXISTS and not present:
                continue
            if action in (Append.OVERWRITE_IF_EXISTS, Append.OVERWRITE_IF_EXISTS_OR_ADD):
                fields[:] = [pair for pair in fields if pair[0] != name]
            fields.append((name, value))
        fields[:] = [pair for pair in fields if pair[0] not in self.remove]


def _constant(item: Reader) -> tuple[bytes, bytes, Append] | None:
    made: Addition | None = addition(item)
    if made is None:
        return None
    if not isinstance(made.value, bytes):
        item.refuse("header.value", "a check has no request that an operator could read; give a constant")
        return None
    if not made.value and not made.keep_empty:
        return None
    return made.name, made.value, made.action


def endpoint_check(endpoint: Reader) -> EndpointCheck | None:
    """An endpoint's `health_check_config`."""
    reader = endpoint.child("health_check_config")
    if reader is None:
        return None
    reader.only("port_value", "hostname", "address", "disable_active_health_check")
    address = reader.child("address")
    host, port = socket_address(address) if address is not None else ("", 0)
    if host and not is_ip(host):
        reader.refuse("address", f"{host!r} is no IP address")
    return EndpointCheck(
        host=host,
        port=port or reader.message.port_value,
        hostname=reader.message.hostname,
        disabled=reader.message.disable_active_health_check,
    )
