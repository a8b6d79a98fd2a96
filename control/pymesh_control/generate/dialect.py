"""What a flavor of proxy speaks. Our own has no HTTP/2 yet: it is never offered any, and takes what needs it as opaque connections."""

from dataclasses import replace

from ..model.protocol import Protocol
from ..model.service import Service
from ..model.view import PYMESH


def has_http2(flavor: str) -> bool:
    return flavor != PYMESH


def carried(protocol: Protocol, flavor: str) -> Protocol:
    """The protocol as which a proxy handles a port."""
    return Protocol.TCP if protocol.is_http2 and not has_http2(flavor) else protocol


def translated(service: Service, flavor: str) -> Service:
    """The service with its ports as a proxy handles them."""
    if all(carried(port.protocol, flavor) is port.protocol for port in service.ports):
        return service
    return replace(service, ports=tuple(replace(port, protocol=carried(port.protocol, flavor)) for port in service.ports))


def plaintext_http(flavor: str) -> tuple[str, ...]:
    """What the inspection of a connection's first bytes calls HTTP that the proxy can read."""
    return ("http/1.1", "h2c") if has_http2(flavor) else ("http/1.1",)


def offered(flavor: str) -> tuple[str, ...]:
    """The ALPN protocols that a server agrees to for HTTP."""
    return ("h2", "http/1.1") if has_http2(flavor) else ("http/1.1",)
