"""/listeners: the addresses that the proxy listens on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from pymesh.address import Address
from pymesh.xds import proto

from .facts import JSON, Answer, Command, Facts, Query, choice

if TYPE_CHECKING:
    from ..listener.manager import Listener


def listeners(facts: Facts, query: Query) -> Answer:
    """`format` is text (`name::address:port` a line) or json (Envoy's Listeners message)."""
    if choice(query, "format", ("text", "json")) == "text":
        lines = [f"{listener.config.name}::{Address(*each)}\n" for listener in facts.runtime.listeners for each in _addresses(listener)]
        return Answer(body="".join(lines))
    message = proto.admin_listeners.Listeners(listener_statuses=[_status(listener) for listener in facts.runtime.listeners])
    return Answer(body=json_format.MessageToJson(message, preserving_proto_field_name=True, indent=1) + "\n", content_type=JSON)


def _addresses(listener: "Listener") -> Sequence[tuple[str, int]]:
    """With the real port where the configuration says 0."""
    return listener.bound or listener.config.addresses


def _status(listener: "Listener") -> Any:
    status = proto.admin_listeners.ListenerStatus(name=listener.config.name)
    first, *further = _addresses(listener)
    _write(status.local_address, first)
    for address in further:
        _write(status.additional_local_addresses.add(), address)
    return status


def _write(message: Any, address: tuple[str, int]) -> None:
    message.socket_address.address, message.socket_address.port_value = address


COMMANDS = (Command(path="/listeners", help="print listener addresses (format=text|json)", run=listeners),)
