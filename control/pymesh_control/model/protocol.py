"""Which protocol a port speaks: Istio's protocol selection by declared protocol, port name and well-known number."""

import enum

_SERVER_FIRST_PORTS = frozenset({25, 53, 3306, 27017})
"""SMTP, DNS, MySQL and MongoDB: the server may speak first there, so waiting for the client's bytes would hang."""


class Protocol(enum.Enum):
    """What is spoken on a port; AUTO is told from the first bytes of each connection."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    UDP = "UDP"
    MONGO = "MONGO"
    REDIS = "REDIS"
    MYSQL = "MYSQL"
    AUTO = "AUTO"

    @property
    def is_http(self) -> bool:
        return self in _HTTP

    @property
    def is_http2(self) -> bool:
        return self in _HTTP2

    @property
    def is_grpc(self) -> bool:
        """gRPC, or its form for browsers, which becomes gRPC on the way."""
        return self in (Protocol.GRPC, Protocol.GRPC_WEB)

    @property
    def is_tls(self) -> bool:
        """Opaque TLS, which can be routed by server name only."""
        return self in (Protocol.HTTPS, Protocol.TLS)

    @property
    def inside_tls(self) -> "Protocol":
        """What is spoken once TLS is ended."""
        return {Protocol.HTTPS: Protocol.HTTP, Protocol.TLS: Protocol.TCP}.get(self, self)

    @property
    def may_be_http(self) -> bool:
        return self.is_http or self is Protocol.AUTO


_HTTP = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
_HTTP2 = frozenset({Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
ALONE = frozenset({Protocol.MYSQL, Protocol.MONGO})
"""What shares no listener with another protocol: servers that speak first would wait for the client's first bytes to be looked at."""

_STANDARD = {"kubernetes.io/h2c": Protocol.HTTP2, "kubernetes.io/ws": Protocol.HTTP, "kubernetes.io/wss": Protocol.HTTPS}
"""The names that Kubernetes itself gives to protocols."""
_BY_NAME = {protocol.value.lower(): protocol for protocol in Protocol if protocol is not Protocol.AUTO} | {"http_proxy": Protocol.HTTP}


def declared(text: str) -> Protocol | None:
    """The protocol of a `protocol` field, in any case; None for one that Istio does not know."""
    return _BY_NAME.get(text.lower())


def of_service_port(number: int, name: str, app_protocol: str | None) -> Protocol:
    """The protocol of a port of a Kubernetes Service: its appProtocol, which is read like a name and stands in the name's place."""
    if app_protocol is None:
        return of_port(number, name)
    return _STANDARD.get(app_protocol) or of_port(number, app_protocol)


def of_port(number: int, name: str = "", protocol: str = "") -> Protocol:
    """The protocol of a port: what it declares, else its name's prefix (`http-metrics`), else its number, else AUTO."""
    stated = declared(protocol)
    if stated:
        return stated
    lowered = name.lower()
    if lowered.startswith("grpc-web"):
        return Protocol.GRPC_WEB
    named = _BY_NAME.get(lowered.partition("-")[0])
    if named:
        return named
    return Protocol.TCP if number in _SERVER_FIRST_PORTS else Protocol.AUTO
