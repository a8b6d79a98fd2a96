"""What a peer can do wrong, told apart by what has to end: the connection, one stream, or one field section."""

from ..errors import ProxyError
from .frames import COMPRESSION_ERROR, error_name


class ConnectionBroken(ProxyError):
    """A connection error (RFC 9113 5.4.1): GOAWAY with `code`, then the end."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{error_name(code)}: {reason}")
        self.code = code
        self.reason = reason


class CompressionBroken(ConnectionBroken):
    """The peer's field compression cannot be followed (RFC 7541); every later block depends on this one."""

    def __init__(self, reason: str) -> None:
        super().__init__(COMPRESSION_ERROR, reason)


class StreamBroken(ProxyError):
    """A stream error (RFC 9113 5.4.2): RST_STREAM with `code`; the connection goes on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{error_name(code)}: {reason}")
        self.code = code
        self.reason = reason


class Malformed(ProxyError):
    """A message that HTTP/2 does not allow (RFC 9113 8.1.1); the connection's options say what ends."""


class FieldsTooLarge(ProxyError):
    """More fields, or more bytes of them, than we accept. The compression state is intact."""
