"""grpc.health.v1's two messages, as far as a check needs them, and how a call of it is framed."""

from ..http.headers import Fields
from .probes import ProbeAnswer

GRPC_PATH = b"/grpc.health.v1.Health/Check"
GRPC_FIELDS: Fields = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]

SERVING = b"\x08\x01"
"""HealthCheckResponse with `status` (field 1, a varint) SERVING (1): all that such a message can say."""


def check_request(service: str) -> bytes:
    """A HealthCheckRequest in its frame: no compression, the length, and `service` as field 1 if there is one."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def is_serving(answer: ProbeAnswer) -> bool:
    """Whether the call succeeded (in HTTP and in gRPC) with one message that says SERVING."""
    status = answer.trailers.get(b"grpc-status", answer.headers.get(b"grpc-status"))
    return answer.status == 200 and status == b"0" and answer.body == b"\0" + len(SERVING).to_bytes(4, "big") + SERVING
