"""Small messages that many resources share."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from pymesh.xds import proto

UNLIMITED = 2**32 - 1
V3 = proto.config_source.ApiVersion.V3

ADS = proto.config_source.ConfigSource(ads={}, resource_api_version=V3, initial_fetch_timeout=proto.duration(0))
"""Resources come over the stream that named them; a proxy waits for them without limit, as warming must not be cut short."""


def socket(ip: str, port: int) -> Any:
    return proto.address.Address(socket_address=proto.address.SocketAddress(address=ip, port_value=port))


def endpoint_address(host: str, port: int) -> Any:
    """The address of an instance: IP or name with port, or a `unix://` path."""
    if host.startswith("unix://"):
        return proto.address.Address(pipe=proto.address.Pipe(path=host.removeprefix("unix://")))
    return socket(host, port)


def extension(name: str, message: Any) -> Any:
    """A TypedExtensionConfig-shaped (name, typed_config) pair as keyword arguments."""
    return {"name": name, "typed_config": proto.pack(message)}


def struct(values: Mapping[str, Any]) -> Any:
    """A Struct of plain values. Keys are set in sorted order."""
    message = struct_pb2.Struct()
    for key in sorted(values):
        message.fields[key].CopyFrom(_value(values[key]))
    return message


def _value(value: Any) -> Any:
    match value:
        case bool():
            return struct_pb2.Value(bool_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case list() | tuple():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_value(item) for item in value]))
    return struct_pb2.Value(struct_value=struct(value))


def cidr(text: str) -> Any:
    """A CidrRange of `10.0.0.0/8` or of a single address."""
    address, slash, length = text.partition("/")
    bits = int(length) if slash else (128 if ":" in address else 32)
    return proto.address.CidrRange(address_prefix=address, prefix_len=proto.wrappers_pb2.UInt32Value(value=bits))
