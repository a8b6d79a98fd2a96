"""Listeners and filter chains, put together from their parts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymesh.xds import proto

from ..model.mesh import Mesh
from ..model.origin import Origin
from .accesslog import refusal_logs
from .common import cidr, extension, socket
from .provenance import stamp

_LISTENER = proto.listener.Listener
_LISTENER_ADDRESS = proto.listener.AdditionalAddress
_PARTS = proto.listener_components

_MARK = 1337
"""What Istio's rules for captured traffic know the sidecar's own packets by."""

PLAINTEXT_HTTP = ("http/1.1", "h2c")
"""What the inspection of a connection's first bytes calls HTTP."""


def listener(name: str, addresses: Sequence[str], port: int, mesh: Mesh, *, outbound: bool) -> Any:
    """A listener without chains, not yet bound to its port (the caller clears that where it is)."""
    first, *others = (socket(address, port) for address in addresses)
    return _LISTENER(
        name=name,
        address=first,
        additional_addresses=[_LISTENER_ADDRESS(address=one) for one in others],
        traffic_direction=proto.base.TrafficDirection.OUTBOUND if outbound else proto.base.TrafficDirection.INBOUND,
        bind_to_port=proto.wrappers_pb2.BoolValue(value=False),
        access_log=refusal_logs(mesh),
    )


def inspect_as_needed(message: Any, mesh: Mesh) -> None:
    """Add to a listener with all its chains those filters that look at first bytes whose findings a chain asks for.

    No others: where the server speaks first, a look at what the client says would last for ever.
    """
    matches = [one.filter_chain_match for one in message.filter_chains]
    if any(match.application_protocols for match in matches):
        _inspect(message, mesh, inspectors())
    elif any(match.server_names or match.transport_protocol == "tls" for match in matches):
        _inspect(message, mesh, inspectors()[:1])


def inspect_by_port(message: Any, mesh: Mesh) -> None:
    """The same for a listener that takes connections for many ports: each filter leaves those alone at which no chain asks for it."""
    ports: dict[int, list[Any]] = {}
    for one in message.filter_chains:
        ports.setdefault(one.filter_chain_match.destination_port.value, []).append(one.filter_chain_match)
    found = inspectors()
    for inspector, wants in zip(found, (_wants_tls, _wants_http), strict=True):
        _except(inspector, {port: any(map(wants, matches)) for port, matches in ports.items()})
    _inspect(message, mesh, found)


def _wants_tls(match: Any) -> bool:
    return bool(match.server_names or match.transport_protocol == "tls")


def _wants_http(match: Any) -> bool:
    return not _wants_tls(match) and bool(match.application_protocols)


def _except(inspector: Any, wanted: Mapping[int, bool]) -> None:
    """Disable a filter at ports, as Istio does; 0 stands for all that are not named."""
    default = wanted.get(0, False)
    different = [port for port in sorted(wanted) if port and wanted[port] is not default]
    others = [{"destination_port_range": {"start": port, "end": port + 1}} for port in different]
    if not others:
        if not default:
            inspector.filter_disabled.any_match = True
        return
    ports = _PARTS.ListenerFilterChainMatchPredicate(**others[0] if len(others) == 1 else {"or_match": {"rules": others}})
    if default:
        inspector.filter_disabled.CopyFrom(ports)
    else:
        inspector.filter_disabled.not_match.CopyFrom(ports)


def _inspect(message: Any, mesh: Mesh, filters: Sequence[Any]) -> None:
    message.listener_filters.extend(filters)
    message.listener_filters_timeout.CopyFrom(proto.duration(mesh.protocol_detection_timeout))
    message.continue_on_listener_filters_timeout = True


def inspectors() -> list[Any]:
    """The filters that look at a connection's first bytes."""
    return [
        _PARTS.ListenerFilter(**extension("envoy.filters.listener.tls_inspector", proto.tls_inspector.TlsInspector())),
        _PARTS.ListenerFilter(**extension("envoy.filters.listener.http_inspector", proto.http_inspector.HttpInspector())),
    ]


def original_destination() -> Any:
    """The filter that finds where a captured connection was going."""
    return _PARTS.ListenerFilter(**extension("envoy.filters.listener.original_dst", proto.original_dst.OriginalDst()))


def original_source() -> Any:
    """The filter that has connections to the application come from the client's address (TPROXY), under Istio's mark."""
    return _PARTS.ListenerFilter(**extension("envoy.filters.listener.original_src", proto.original_src.OriginalSrc(mark=_MARK)))


def proxy_header() -> Any:
    """The filter that takes both addresses of a connection from the PROXY header that it begins with."""
    return _PARTS.ListenerFilter(**extension("envoy.filters.listener.proxy_protocol", proto.proxy_protocol.ProxyProtocol()))


def chain(
    filters: Sequence[Any],
    *,
    name: str = "",
    port: int = 0,
    blocks: Iterable[str] = (),
    sources: Iterable[str] = (),
    server_names: Iterable[str] = (),
    transport: str = "",
    application_protocols: Iterable[str] = (),
    secured: Any = None,
    origins: Iterable[Origin] = (),
) -> Any:
    """A filter chain with its conditions.

    `secured` is the transport socket that terminates TLS; `origins` are the resources that ask for the chain.
    """
    message = _PARTS.FilterChain(filters=filters, name=name)
    match = _PARTS.FilterChainMatch(
        prefix_ranges=[cidr(block) for block in blocks],
        source_prefix_ranges=[cidr(block) for block in sources],
        server_names=server_names,
        transport_protocol=transport,
        application_protocols=application_protocols,
    )
    if port:
        match.destination_port.value = port
    if match.ByteSize():
        message.filter_chain_match.CopyFrom(match)
    if secured is not None:
        message.transport_socket.CopyFrom(secured)
    return stamp(message, origins)
