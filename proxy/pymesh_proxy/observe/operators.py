"""The operators of Envoy's format strings (`%RESPONSE_CODE%`, `%REQ(X?Y):N%`): how each reads its fact.

One table for requests (`Exchange`) and one for TCP connections (`Session`). An operator whose fact pymesh does not record is in
neither table, so a configuration that asks for it is refused instead of logging a `-` for ever.
"""

import enum
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from ..errors import ConfigError, Problem
from .timestamps import DEFAULT, compile_time

Read = Callable[[Any], Any]


class Kind(enum.Enum):
    """What an operator yields, and so how it is written."""

    NUMBER = "an int that is always there"
    MAYBE_NUMBER = "an int, or None"
    TEXT = "a str made here; empty or None when absent"
    WIRE = "bytes or str that a peer chose; empty or None when absent; escaped before it is written"
    WHOLE = "a str that is there even when it is empty"


@dataclass(frozen=True, slots=True)
class Operator:
    """One compiled operator. `code` is the same as `read`, as a Python expression over `x` and `names`, for lines to be built of."""

    kind: Kind
    read: Read
    code: str = ""
    names: Mapping[str, Any] = field(default_factory=dict)
    volatile: bool = False
    """Whether nearly every subject has a value of its own (a request id), so that remembering it is no use."""


Make = Callable[[str, str | None], Operator]
"""From the operator's name and its argument (None without parentheses)."""


def bare(kind: Kind, read: Read, code: str = "", **names: Any) -> Make:
    """An operator without an argument."""

    def make(name: str, argument: str | None) -> Operator:
        if argument is not None:
            raise ConfigError(Problem("", f"%{name}% takes no argument"))
        return Operator(kind, read, code, names)

    return make


def fact(kind: Kind, path: str) -> Make:
    """An operator that is an attribute of its subject, or of an attribute."""
    return bare(kind, attrgetter(path), f"x.{path}")


def required(name: str, argument: str | None) -> str:
    """The argument of an operator that cannot do without."""
    if not argument:
        raise ConfigError(Problem("", f"%{name}()% needs an argument"))
    return argument


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _field_code(argument: str, head: str, pseudo: dict[bytes, str]) -> str:
    """Reads one header; `head` names the exchange's attribute that holds the list, which is None until there is an answer."""
    key = argument.strip().lower().encode("latin-1")
    if key in pseudo:
        return pseudo[key]
    if head == "head":
        return f"x.head.index.get({key!r})"
    return f"(None if x.response is None else x.response.index.get({key!r}))"


def _header(head: str, pseudo: dict[bytes, str]) -> Make:
    def make(name: str, argument: str | None) -> Operator:
        first, question, second = required(name, argument).partition("?")
        code = _field_code(first, head, pseudo)
        if question:
            code = f"({_field_code(second, head, pseudo)} if (first := {code}) is None else first)"
        return Operator(Kind.WIRE, function(code, {}), code, volatile=first.strip().lower() in _VOLATILE)

    return make


def expression(kind: Kind, code: str) -> Make:
    """An operator that a Python expression over `x` says best."""
    return bare(kind, function(code, {}), code)


_VOLATILE = frozenset(("x-request-id", "traceparent", "x-b3-traceid", "x-b3-spanid"))


def function(code: str, names: Mapping[str, Any]) -> Read:
    """The function of `x` that an expression stands for. Expressions come from this package's tables, never from a peer."""
    made: Read = eval(f"lambda x: {code}", dict(names))  # noqa: S307  see above; header names are quoted by repr
    return made


_REQUEST_PSEUDO = {b":method": "x.head.method", b":path": "x.head.path", b":authority": "x.head.authority", b":scheme": "x.head.scheme"}
_RESPONSE_PSEUDO = {b":status": "(None if x.response is None else str(x.status))"}


def _path(name: str, argument: str | None) -> Operator:
    if argument in (None, "", "WQ"):
        return Operator(Kind.WIRE, attrgetter("head.path"))
    if argument == "NQ":
        return Operator(Kind.WIRE, lambda exchange: exchange.head.path.partition(b"?")[0])
    raise ConfigError(Problem("", f"%{name}({argument})%: only WQ (with the query) and NQ (without) are supported"))


def _wall(local: bool) -> Make:
    def make(name: str, argument: str | None) -> Operator:
        text = compile_time(argument or DEFAULT, local=local)
        return Operator(Kind.TEXT, lambda subject: text(subject.started_wall), "text(x.started_wall)", {"text": text})

    return make


def _emitted(local: bool) -> Make:
    def make(name: str, argument: str | None) -> Operator:
        text = compile_time(argument or DEFAULT, local=local)
        return Operator(Kind.TEXT, lambda subject: text(time.time()))

    return make


def _exchange_duration(exchange: Any) -> int:
    return int((time.monotonic() - exchange.started) * 1000)


def _session_duration(session: Any) -> int:
    return _milliseconds((session.ended or time.monotonic()) - session.started)


def _response_duration(exchange: Any) -> int | None:
    return _milliseconds(exchange.response_started - exchange.started) if exchange.response_started else None


def _response_tx_duration(exchange: Any) -> int | None:
    return _milliseconds(time.monotonic() - exchange.response_started) if exchange.response_started else None


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.rpartition(":")[0] or address


def _port(address: str) -> int | None:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else None


def _address(prefix: str, read: Callable[[Any], str | None], code: str = "") -> dict[str, Make]:
    """The three operators of one address: `X_ADDRESS`, `X_ADDRESS_WITHOUT_PORT` and `X_PORT`."""
    return {
        f"{prefix}_ADDRESS": bare(Kind.TEXT, read, code),
        f"{prefix}_ADDRESS_WITHOUT_PORT": bare(Kind.TEXT, lambda subject: _without_port(read(subject) or "")),
        f"{prefix}_PORT": bare(Kind.MAYBE_NUMBER, lambda subject: _port(read(subject) or "")),
    }


def _upstream_host(subject: Any) -> str | None:
    return None if subject.endpoint is None else subject.endpoint.address


def _upstream_host_name(subject: Any) -> str | None:
    return None if subject.endpoint is None else subject.endpoint.config.hostname or subject.endpoint.config.address


def _cluster_alias(subject: Any) -> Any:
    """The name that statistics use (`alt_stat_name`), as Envoy's UPSTREAM_CLUSTER prints it."""
    return (subject.cluster is not None and subject.cluster.config.alt_stat_name) or subject.cluster_name


def _certificate(path: str) -> Make:
    """A field of the client's verified certificate; name lists are joined by commas."""
    get = attrgetter(path)

    def read(subject: Any) -> str | None:
        peer = subject.downstream.peer
        if peer is None:
            return None
        value = get(peer)
        return ",".join(value) if isinstance(value, tuple) else value

    return bare(Kind.WIRE, read)


FLAGS_LONG = {
    "LH": "FailedLocalHealthCheck", "UH": "NoHealthyUpstream", "UT": "UpstreamRequestTimeout", "LR": "LocalReset",
    "UR": "UpstreamRemoteReset", "UF": "UpstreamConnectionFailure", "UC": "UpstreamConnectionTermination", "UO": "UpstreamOverflow",
    "NR": "NoRouteFound", "DI": "DelayInjected", "FI": "FaultInjected", "RL": "RateLimited", "UAEX": "UnauthorizedExternalService",
    "RLSE": "RateLimitServiceError", "DC": "DownstreamConnectionTermination", "URX": "UpstreamRetryLimitExceeded",
    "SI": "StreamIdleTimeout", "IH": "InvalidEnvoyRequestHeaders", "DPE": "DownstreamProtocolError",
    "UMSDR": "UpstreamMaxStreamDurationReached", "RFCF": "ResponseFromCacheFilter", "NFCF": "NoFilterConfigFound",
    "DT": "DurationTimeout", "UPE": "UpstreamProtocolError", "NC": "NoClusterFound", "OM": "OverloadManagerTerminated",
    "DF": "DnsResolutionFailed", "DO": "DropOverload", "DR": "DownstreamRemoteReset", "UDO": "UnconditionalDropOverload",
}  # fmt: skip

_GRPC_NAMES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
    "Unauthenticated",
)  # fmt: skip


def _flags_long(subject: Any) -> str:
    if not subject.flags:
        return "-"
    return ",".join(FLAGS_LONG.get(flag, flag) for flag in subject.flags.split(","))


def grpc_status(exchange: Any) -> int | None:
    """The answer's `grpc-status`, of its trailers or of its head if it has no others; None without one that is a number."""
    value = exchange.response.index.get(b"grpc-status") if exchange.response is not None else None
    if value is None and exchange.trailers is not None:
        value = dict(exchange.trailers).get(b"grpc-status")
    return int(value) if value is not None and value.isdigit() and len(value) < 6 else None


def _grpc_name(style: str) -> Callable[[int], str]:
    def name(code: int) -> str:
        if code >= len(_GRPC_NAMES):
            return str(code)
        camel = _GRPC_NAMES[code]
        return camel if style == "CAMEL_STRING" else _snake(camel)

    return name


def _snake(camel: str) -> str:
    if camel == "OK":
        return camel
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in camel).removeprefix("_")


def _grpc(name: str, argument: str | None) -> Operator:
    style = argument or "CAMEL_STRING"
    if style == "NUMBER":
        return Operator(Kind.MAYBE_NUMBER, grpc_status)
    if style not in ("CAMEL_STRING", "SNAKE_STRING"):
        raise ConfigError(Problem("", f"%{name}({style})%: the style is CAMEL_STRING, SNAKE_STRING or NUMBER"))
    spell = _grpc_name(style)
    return Operator(Kind.TEXT, lambda exchange: None if (code := grpc_status(exchange)) is None else spell(code))


def _environment(name: str, argument: str | None) -> Operator:
    value = os.environ.get(required(name, argument))
    return Operator(Kind.TEXT, lambda subject: value)


def _hostname(name: str, argument: str | None) -> Operator:
    host = socket.gethostname()
    return Operator(Kind.TEXT, lambda subject: host)


def constant(value: str) -> Make:
    """An operator that says the same of every subject."""
    return bare(Kind.TEXT, lambda subject: value)


def absent(name: str, argument: str | None) -> Operator:
    """What a subject never has, as a TCP connection a request's facts: Envoy prints `-` too, so that one format serves both."""
    return Operator(Kind.TEXT, lambda subject: None)


_SHARED: dict[str, Make] = {
    "START_TIME": _wall(local=False),
    "START_TIME_LOCAL": _wall(local=True),
    "EMIT_TIME": _emitted(local=False),
    "EMIT_TIME_LOCAL": _emitted(local=True),
    "HOSTNAME": _hostname,
    "ENVIRONMENT": _environment,
    "RESPONSE_FLAGS": expression(Kind.TEXT, "(x.flags or '-')"),
    "RESPONSE_FLAGS_LONG": bare(Kind.TEXT, _flags_long),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": expression(Kind.WIRE, "x.upstream_failure.replace(' ', '_')"),
    "UPSTREAM_HOST": expression(Kind.TEXT, "(None if x.endpoint is None else x.endpoint.address)"),
    "UPSTREAM_HOST_NAME": bare(Kind.TEXT, _upstream_host_name),
    "UPSTREAM_CLUSTER": bare(Kind.TEXT, _cluster_alias),
    "UPSTREAM_CLUSTER_RAW": fact(Kind.TEXT, "cluster_name"),
    "REQUESTED_SERVER_NAME": fact(Kind.WIRE, "downstream.sni"),
    "CONNECTION_ID": fact(Kind.NUMBER, "downstream.connection_id"),
    "LISTENER_NAME": fact(Kind.TEXT, "downstream.listener"),
    "FILTER_CHAIN_NAME": fact(Kind.TEXT, "downstream.filter_chain"),
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": expression(Kind.WIRE, "x.downstream.transport_failure.replace(' ', '_')"),
    "DOWNSTREAM_TLS_VERSION": fact(Kind.TEXT, "downstream.tls_version"),
    "DOWNSTREAM_LOCAL_URI_SAN": fact(Kind.TEXT, "downstream.local_uri_san"),
    "DOWNSTREAM_PEER_URI_SAN": _certificate("uri_sans"),
    "DOWNSTREAM_PEER_DNS_SAN": _certificate("dns_sans"),
    "DOWNSTREAM_PEER_SUBJECT": _certificate("subject"),
    "DOWNSTREAM_PEER_ISSUER": _certificate("issuer"),
    "DOWNSTREAM_PEER_SERIAL": _certificate("serial"),
    "DOWNSTREAM_PEER_FINGERPRINT_256": _certificate("sha256"),
    **_address("DOWNSTREAM_LOCAL", attrgetter("downstream.local_address"), "x.downstream.local_address"),
    **_address("DOWNSTREAM_DIRECT_REMOTE", attrgetter("downstream.direct_remote_address"), "x.downstream.direct_remote_address"),
    **_address("UPSTREAM_LOCAL", attrgetter("upstream_local_address"), "x.upstream_local_address"),
    **_address("UPSTREAM_REMOTE", _upstream_host),
}

HTTP: dict[str, Make] = {
    **_SHARED,
    **_address("DOWNSTREAM_REMOTE", attrgetter("remote_address"), "x.remote_address"),
    "REQ": _header("head", _REQUEST_PSEUDO),
    "REQUEST_HEADER": _header("head", _REQUEST_PSEUDO),
    "RESP": _header("response", _RESPONSE_PSEUDO),
    "RESPONSE_HEADER": _header("response", _RESPONSE_PSEUDO),
    "PATH": _path,
    "QUERY_PARAMS": bare(Kind.WIRE, lambda exchange: exchange.head.path.partition(b"?")[2]),
    "STREAM_ID": bare(Kind.WIRE, lambda exchange: exchange.head.index.get(b"x-request-id")),
    "PROTOCOL": fact(Kind.TEXT, "protocol"),
    "RESPONSE_CODE": fact(Kind.NUMBER, "status"),
    "RESPONSE_CODE_DETAILS": fact(Kind.WIRE, "details"),
    "CONNECTION_TERMINATION_DETAILS": absent,  # Envoy's filters that set it (network RBAC and the like) have no twin here
    "BYTES_RECEIVED": fact(Kind.NUMBER, "request_bytes"),
    "BYTES_SENT": fact(Kind.NUMBER, "response_bytes"),
    "DOWNSTREAM_WIRE_BYTES_RECEIVED": fact(Kind.NUMBER, "request_wire_bytes"),
    "DOWNSTREAM_WIRE_BYTES_SENT": fact(Kind.NUMBER, "response_wire_bytes"),
    "DURATION": bare(Kind.NUMBER, _exchange_duration, "int((clock.monotonic() - x.started) * 1000)", clock=time),
    "RESPONSE_DURATION": bare(Kind.MAYBE_NUMBER, _response_duration),
    "RESPONSE_TX_DURATION": bare(Kind.MAYBE_NUMBER, _response_tx_duration),
    "ROUTE_NAME": expression(Kind.TEXT, "(None if x.route is None else x.route.name)"),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": bare(Kind.NUMBER, lambda exchange: exchange.attempt if exchange.cluster is not None else 0),
    "GRPC_STATUS": _grpc,
    "GRPC_STATUS_NUMBER": bare(Kind.MAYBE_NUMBER, grpc_status),
    "ACCESS_LOG_TYPE": constant("DownstreamEnd"),
}

TCP: dict[str, Make] = {
    **dict.fromkeys(HTTP, absent),
    **_SHARED,
    **_address("DOWNSTREAM_REMOTE", attrgetter("downstream.remote_address"), "x.downstream.remote_address"),
    "RESPONSE_CODE": bare(Kind.NUMBER, lambda session: 0),
    "RESPONSE_CODE_DETAILS": fact(Kind.WIRE, "details"),
    "BYTES_RECEIVED": fact(Kind.NUMBER, "bytes_received"),
    "BYTES_SENT": fact(Kind.NUMBER, "bytes_sent"),
    "DURATION": bare(Kind.NUMBER, _session_duration),
    "ACCESS_LOG_TYPE": bare(Kind.TEXT, lambda session: session.log_type or "TcpConnectionEnd"),
}
