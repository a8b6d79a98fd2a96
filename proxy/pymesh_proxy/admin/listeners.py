"""/listeners: the addresses that the proxy listens on."""

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from pymesh.xds import proto

from .facts import JSON, Answer, Command, Facts, Query, choice

if TYPE_CHECKING:
    from ..listener.manager import Listener


def listeners(facts: Facts, query: Query) -> Answer:
    """`format` is text (`name::address:port` a line) or json (Envoy's Listeners message)."""
    if choice(query, "format", ("text", "json")) == "text":
        lines = [f"{listener.config.name}::{_host(listener)}:{_port(listener)}\n" for listener in facts.runtime.listeners]
        return Answer(body="".join(lines))
    message = proto.admin_listeners.Listeners(listener_statuses=[_status(listener) for listener in facts.runtime.listeners])
    return Answer(body=json_format.MessageToJson(message, preserving_proto_field_name=True, indent=1) + "\n", content_type=JSON)


def _host(listener: "Listener") -> str:
    host = listener.bound[0] if listener.bound else listener.config.host
    return f"[{host}]" if ":" in host else host


def _port(listener: "Listener") -> int:
    """The real port where the configuration says 0."""
    return listener.bound[1] if listener.bound else listener.config.port


def _status(listener: "Listener") -> Any:
    status = proto.admin_listeners.ListenerStatus(name=listener.config.name)
    status.local_address.socket_address.address = listener.bound[0] if listener.bound else listener.config.host
    status.local_address.socket_address.port_value = _port(listener)
    return status


COMMANDS = (Command(path="/listeners", help="print listener addresses (format=text|json)", run=listeners),)
