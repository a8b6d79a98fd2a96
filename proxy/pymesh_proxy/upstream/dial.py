"""Opening one connection to an endpoint: TCP or Unix socket, then TLS, within the cluster's connect timeout."""

import asyncio
import socket
from typing import TYPE_CHECKING

from ..errors import Cause, ProxyError
from ..listener import transparent
from .eyeballs import Where, in_order, race
from .introduction import Introduced, introduction

if TYPE_CHECKING:
    from ..http.exchange import Downstream
    from ..runtime import Runtime
    from ..tls.override import TlsOverride
    from .cluster import Cluster
    from .config import ClusterConfig, EndpointConfig, SourceAddress
    from .endpoint import Endpoint


class DialFailed(ProxyError):
    """No connection: `cause` is CONNECT_FAILED or CONNECT_TIMEOUT, `reason` the transport's word for it."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


async def dial(
    runtime: "Runtime",
    cluster: "Cluster",
    endpoint: "Endpoint",
    protocol: asyncio.Protocol,
    downstream: "Downstream | None" = None,
    *,
    within: float = 0.0,
    override: "TlsOverride | None" = None,
) -> None:
    """Connect `protocol` to the endpoint; its connection_made has run when this returns. Raises DialFailed.

    `downstream` is the connection for which it is made; a cluster with a PROXY header tells the endpoint of it, and so does the address
    that it comes from, where that is to be the client's.
    `within`: seconds in the place of the cluster's connect timeout; `override`: what TLS is, in the place of what the cluster says.
    """
    try:
        async with asyncio.timeout(within or cluster.config.connect_timeout):
            await _connect(runtime, cluster, endpoint, protocol, downstream, override)
    except TimeoutError:
        raise DialFailed(Cause.CONNECT_TIMEOUT, "connection timeout") from None
    except OSError as error:
        raise DialFailed(Cause.CONNECT_FAILED, _words(error)) from error
    except ValueError as error:  # a server name or a trust bundle that Python's ssl cannot encode
        raise DialFailed(Cause.CONNECT_FAILED, f"TLS error: {error}") from error


async def _connect(
    runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", protocol: asyncio.Protocol, downstream: "Downstream | None",
    override: "TlsOverride | None",
) -> None:  # fmt: skip
    outer: asyncio.Protocol = protocol
    layer = None
    config = endpoint.config
    if endpoint.tls is not None:
        tls = endpoint.tls if override is None else endpoint.tls.overridden(override)
        layer = tls.layer(protocol, config.hostname)
        outer = layer
    if cluster.config.proxy_header is not None:
        outer = Introduced(outer, introduction(cluster.config.proxy_header, downstream))
    if config.host.startswith("/"):
        await runtime.loop.create_unix_connection(lambda: outer, config.host)
    else:
        await _connect_tcp(runtime.loop, cluster.config, config, outer, downstream.kept_source if downstream else config.source)
    if layer is not None:
        await layer.established()


async def _connect_tcp(
    loop: asyncio.AbstractEventLoop,
    cluster: "ClusterConfig",
    endpoint: "EndpointConfig",
    protocol: asyncio.Protocol,
    source: "SourceAddress | None",
) -> None:
    if endpoint.additional_addresses or source is not None:
        addresses = in_order(((endpoint.host, endpoint.port), *endpoint.additional_addresses), cluster.eyeballs)
        sock = await race(addresses, lambda where: _socket(loop, cluster, where, source))
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    else:
        local = _local(cluster, endpoint.host)
        transport, _ = await loop.create_connection(lambda: protocol, endpoint.host, endpoint.port, local_addr=local)
    if cluster.keepalive is not None:
        try:
            _keepalive(transport.get_extra_info("socket"), cluster.keepalive)
        except OSError:  # times that the kernel does not take: nobody else knows of this connection
            transport.abort()
            raise


async def _socket(
    loop: asyncio.AbstractEventLoop, cluster: "ClusterConfig", where: Where, source: "SourceAddress | None"
) -> socket.socket:
    """A connected socket, for a race of which only the winner becomes a transport."""
    sock = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if source is not None:  # it stands over upstream_bind_config, as in Envoy
            transparent.assume(sock, source.ip, source.mark)
        elif (local := _local(cluster, where[0])) is not None:
            sock.bind(local)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _local(cluster: "ClusterConfig", host: str) -> tuple[str, int] | None:
    """upstream_bind_config: the source address of the endpoint's family, else the first one, as in Envoy."""
    if not cluster.bind_addresses:
        return None
    alike = (address for address in cluster.bind_addresses if (":" in address) == (":" in host))
    return next(alike, cluster.bind_addresses[0]), 0


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
