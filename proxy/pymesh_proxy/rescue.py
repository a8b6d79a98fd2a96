"""The one table that turns a cause into an answer: status, response flag, Envoy's detail string, and a sentence.

Codes, flags and texts are Envoy's (measured on 1.40). Where Envoy answers with an empty body, ours says what failed.
Addresses and certificates' contents stay out of bodies; they are for the access log.
"""

from dataclasses import dataclass, field

from .errors import Cause
from .filters import LocalReply
from .http.headers import ResponseHead

_RESET = b"upstream connect error or disconnect/reset before headers. reset reason: "
_RETRIED = b"upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
_OVERLOADED = ((b"x-envoy-overloaded", b"true"),)


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    flags: str
    details: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


_TABLE = {
    Cause.BAD_REQUEST: _Row(400, "DPE", "http1.codec_error", b"malformed HTTP/1.1 request"),
    Cause.NO_ROUTE: _Row(404, "NR", "route_not_found", b"no route matches this host and path"),
    Cause.NO_CLUSTER: _Row(503, "NC", "cluster_not_found", b"the route names a cluster that does not exist"),
    Cause.NO_HEALTHY_UPSTREAM: _Row(503, "UH", "no_healthy_upstream", b"no healthy upstream"),
    Cause.OVERFLOW: _Row(503, "UO", "upstream_reset_before_response_started{overflow}", _RESET + b"overflow", _OVERLOADED),
    Cause.CONNECT_FAILED: _Row(
        503, "UF", "upstream_reset_before_response_started{remote_connection_failure}", _RESET + b"remote connection failure"
    ),
    Cause.CONNECT_TIMEOUT: _Row(503, "UF", "upstream_reset_before_response_started{connection_timeout}", _RESET + b"connection timeout"),
    Cause.UPSTREAM_CLOSED: _Row(
        503, "UC", "upstream_reset_before_response_started{connection_termination}", _RESET + b"connection termination"
    ),
    Cause.UPSTREAM_RESET: _Row(503, "UR", "upstream_reset_before_response_started{remote_reset}", _RESET + b"remote reset"),
    Cause.UPSTREAM_REFUSED: _Row(
        503, "UR", "upstream_reset_before_response_started{remote_refused_stream_reset}", _RESET + b"remote refused stream reset"
    ),
    Cause.UPSTREAM_PROTOCOL: _Row(502, "UPE", "upstream_reset_before_response_started{protocol_error}", _RESET + b"protocol error"),
    Cause.ROUTE_TIMEOUT: _Row(504, "UT", "response_timeout", b"upstream request timeout"),
    Cause.PER_TRY_TIMEOUT: _Row(504, "UT", "upstream_per_try_timeout", b"upstream request timeout"),
    Cause.PER_TRY_IDLE: _Row(504, "UT", "upstream_per_try_idle_timeout", b"upstream request timeout"),
    Cause.UPSTREAM_DURATION: _Row(504, "UMSDR", "upstream_max_stream_duration_reached", b"upstream max stream duration reached"),
    Cause.REPLAY_TOO_LARGE: _Row(
        507, "", "request_payload_exceeded_retry_buffer_limit", b"exceeded request buffer limit while retrying upstream"
    ),
    Cause.STREAM_IDLE: _Row(504, "SI", "stream_idle_timeout", b"stream timeout"),
    Cause.STREAM_DURATION: _Row(504, "", "max_duration_timeout", b"downstream duration timeout"),
    Cause.REQUEST_TIMEOUT: _Row(408, "", "request_header_timeout", b"request header timeout"),
    Cause.UPGRADE_REFUSED: _Row(403, "", "upgrade_failed", b"this upgrade is not enabled here"),
}

_GRPC_STATUS = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""HTTP to gRPC status, Envoy's map for local replies; anything else is UNKNOWN (2)."""


def reply(
    cause: Cause,
    *,
    status: int = 0,
    body: bytes = b"",
    details: str = "",
    reason: str = "",
    retried: bool = False,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> LocalReply:
    """The answer to a cause. `reason` is the transport's own word, appended to the details as Envoy does, or why a host has no address,
    in their place; `retried`: it was not the first attempt."""
    row = _TABLE[cause]
    text = details or row.details
    if reason and text.endswith("}"):
        text = f"{text[:-1]}|{reason.replace(' ', '_')}}}"
    elif reason and cause is Cause.NO_HEALTHY_UPSTREAM:
        text = reason
    sentence = body or (row.body.replace(_RESET, _RETRIED) if retried else row.body)
    return LocalReply(status=status or row.status, body=sentence, flags=row.flags, details=text, headers=row.headers + headers)


def to_grpc(response: ResponseHead, body: bytes) -> None:
    """Make an answer trailers-only for a gRPC client: 200, with its status in grpc-status and its body in grpc-message."""
    code = _GRPC_STATUS.get(response.status, 2)
    response.status = 200
    response.set(b"content-type", b"application/grpc")
    if b"grpc-status" not in response.index:
        response.add(b"grpc-status", b"%d" % code)
    if message := body.rstrip(b"\n"):
        response.set(b"grpc-message", _percent_encode(message))


def grpc_code(status: int) -> int:
    """The gRPC status that an HTTP status stands for where none is told."""
    return 0 if status == 200 else _GRPC_STATUS.get(status, 2)


def _percent_encode(text: bytes) -> bytes:
    """gRPC's percent-encoding: printable ASCII but `%` stays (gRPC HTTP/2 mapping, Status-Message)."""
    return b"".join(bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in text)
