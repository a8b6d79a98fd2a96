"""How a call of grpc.health.v1 is framed, and what its answer says."""

from pymesh import grpc_health

from ..http.headers import Fields
from .probes import ProbeAnswer

GRPC_PATH = grpc_health.PATH.encode()
GRPC_FIELDS: Fields = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]


def check_request(service: str) -> bytes:
    """A HealthCheckRequest in its frame."""
    return _framed(grpc_health.check_request(service))


def _framed(message: bytes) -> bytes:
    """A message without compression, behind its length."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def is_serving(answer: ProbeAnswer) -> bool:
    """Whether the call succeeded (in HTTP and in gRPC) with one message that says SERVING."""
    status = answer.trailers.get(b"grpc-status", answer.headers.get(b"grpc-status"))
    return answer.status == 200 and status == b"0" and answer.body == _framed(grpc_health.SERVING)
