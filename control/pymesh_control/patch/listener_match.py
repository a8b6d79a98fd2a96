"""Whether a listener, a filter chain or a filter is one that a change is for."""

from typing import Any

from pymesh.api.models.envoyfilter import ApplyTo
from pymesh.xds import names

from ..model.envoyfilter import EnvoyPatch
from .order import Wanted

_VIRTUAL = (names.VIRTUAL_INBOUND, names.VIRTUAL_OUTBOUND)
"""They stand for all ports: which one is meant, their filter chains tell."""


def of_listener(patch: EnvoyPatch, listener: Any) -> bool:
    wanted = patch.listener
    if wanted is None:
        return True
    if wanted.name and wanted.name != listener.name:
        return False
    if patch.apply_to is not ApplyTo.LISTENER and listener.name in _VIRTUAL:
        return True
    return not wanted.port_number or wanted.port_number == listener.address.socket_address.port_value


def of_chain(patch: EnvoyPatch, listener: Any, chain: Any) -> bool:
    """Whether a chain of a listener that matches is meant."""
    wanted = patch.listener
    if wanted is None:
        return True
    match = chain.filter_chain_match
    if listener.name in _VIRTUAL and wanted.port_number and wanted.port_number != match.destination_port.value:
        return False
    return wanted.filter_chain is None or _of_conditions(wanted.filter_chain, chain.name, match)


def _of_conditions(wanted: Any, name: str, match: Any) -> bool:
    protocols = wanted.application_protocols.split(",") if wanted.application_protocols else ()
    return (
        (not wanted.name or wanted.name == name)
        and (not wanted.sni or wanted.sni in match.server_names)
        and (not wanted.transport_protocol or wanted.transport_protocol == match.transport_protocol)
        and set(protocols) <= set(match.application_protocols)
        and (not wanted.destination_port or wanted.destination_port == match.destination_port.value)
    )


def listener_filter(patch: EnvoyPatch) -> Wanted:
    """The listener filter that a change names."""
    return _named(patch.listener.listener_filter if patch.listener else None)


def network_filter(patch: EnvoyPatch) -> Wanted:
    """The network filter that a change names."""
    found = _filter(patch)
    return _named(found.name) if found else None


def http_filter(patch: EnvoyPatch) -> Wanted:
    """The HTTP filter that a change names within a network filter."""
    found = _filter(patch)
    return _named(found.sub_filter.name) if found and found.sub_filter else None


def meets(wanted: Wanted, item: Any) -> bool:
    """Whether an item is meant: any is where none is named."""
    return wanted is None or wanted(item)


def _filter(patch: EnvoyPatch) -> Any:
    chain = patch.listener.filter_chain if patch.listener else None
    return chain.filter if chain else None


def _named(name: str | None) -> Wanted:
    return (lambda item: item.name == name) if name else None
