"""grpc.health.v1's two messages, as far as a check needs them."""

PATH = "/grpc.health.v1.Health/Check"

SERVING = b"\x08\x01"
"""HealthCheckResponse with `status` (field 1, a varint) SERVING (1): all that such a message can say."""


def check_request(service: str) -> bytes:
    """A HealthCheckRequest: `service` as field 1, if there is one."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
