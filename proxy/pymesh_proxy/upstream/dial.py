"""Opening one connection to an endpoint: TCP or Unix socket, then TLS, within the cluster's connect timeout."""

import asyncio
import socket
from typing import TYPE_CHECKING

from ..errors import Cause, ProxyError
from .introduction import Introduced, introduction

if TYPE_CHECKING:
    from ..http.exchange import Downstream
    from ..runtime import Runtime
    from .cluster import Cluster
    from .endpoint import Endpoint


class DialFailed(ProxyError):
    """No connection: `cause` is CONNECT_FAILED or CONNECT_TIMEOUT, `reason` the transport's word for it."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


async def dial(
    runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", protocol: asyncio.Protocol, downstream: "Downstream | None" = None
) -> None:
    """Connect `protocol` to the endpoint; its connection_made has run when this returns. Raises DialFailed.

    `downstream` is the connection for which it is made; a cluster with a PROXY header tells the endpoint of it.
    """
    try:
        async with asyncio.timeout(cluster.config.connect_timeout):
            await _connect(runtime, cluster, endpoint, protocol, downstream)
    except TimeoutError:
        raise DialFailed(Cause.CONNECT_TIMEOUT, "connection timeout") from None
    except OSError as error:
        raise DialFailed(Cause.CONNECT_FAILED, _words(error)) from error


async def _connect(
    runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", protocol: asyncio.Protocol, downstream: "Downstream | None"
) -> None:
    outer: asyncio.Protocol = protocol
    layer = None
    config = endpoint.config
    if endpoint.tls is not None:
        layer = endpoint.tls.layer(protocol, config.hostname)
        outer = layer
    if cluster.config.proxy_header is not None:
        outer = Introduced(outer, introduction(cluster.config.proxy_header, downstream))
    if config.host.startswith("/"):
        await runtime.loop.create_unix_connection(lambda: outer, config.host)
    else:
        local = (cluster.config.bind_address, 0) if cluster.config.bind_address else None
        transport, _ = await runtime.loop.create_connection(lambda: outer, config.host, config.port, local_addr=local)
        if cluster.config.keepalive is not None:
            _keepalive(transport.get_extra_info("socket"), cluster.config.keepalive)
    if layer is not None:
        await layer.established()


def _keepalive(sock: socket.socket, settings: tuple[int, int, int]) -> None:
    """DestinationRule's tcpKeepalive: probes, seconds before the first one, seconds between them; 0 keeps the system's."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = (getattr(socket, name, None) for name in ("TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL"))
    for option, value in zip(options, settings, strict=True):
        if option is not None and value:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "delayed connect error: Connection refused"
    return error.strerror or str(error) or type(error).__name__
