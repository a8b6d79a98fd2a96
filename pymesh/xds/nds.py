"""Istio's name table, from which a sidecar's DNS proxy answers (`istio.networking.nds.v1.NameTable`).

No package brings the message, so that its descriptor is built here, with Istio's names and field numbers.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, symbol_database

KUBERNETES = "Kubernetes"
"""The registry of hosts that have short names."""
EXTERNAL = "External"
"""The registry of ServiceEntries."""

_PACKAGE = "istio.networking.nds.v1"
_Field = descriptor_pb2.FieldDescriptorProto
_INFO = f".{_PACKAGE}.NameTable.NameInfo"
_ENTRY = f".{_PACKAGE}.NameTable.TableEntry"


def _text(name: str, number: int, *, repeated: bool = False) -> _Field:
    return _Field(name=name, number=number, type=_Field.TYPE_STRING, label=_label(repeated=repeated))


def _message(name: str, number: int, type_name: str, *, repeated: bool = False) -> _Field:
    return _Field(name=name, number=number, type=_Field.TYPE_MESSAGE, type_name=type_name, label=_label(repeated=repeated))


def _label(*, repeated: bool) -> "_Field.Label.ValueType":
    return _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL


def _file() -> descriptor_pb2.FileDescriptorProto:
    info = descriptor_pb2.DescriptorProto(
        name="NameInfo",
        field=[
            _text("ips", 1, repeated=True),
            _text("registry", 2),
            _text("shortname", 3),
            _text("namespace", 4),
            _text("alt_hosts", 5, repeated=True),
        ],
    )
    entry = descriptor_pb2.DescriptorProto(
        name="TableEntry",
        field=[_text("key", 1), _message("value", 2, _INFO)],
        options=descriptor_pb2.MessageOptions(map_entry=True),
    )
    table = descriptor_pb2.DescriptorProto(
        name="NameTable", field=[_message("table", 1, _ENTRY, repeated=True)], nested_type=[info, entry]
    )
    return descriptor_pb2.FileDescriptorProto(name="dns/proto/nds.proto", package=_PACKAGE, syntax="proto3", message_type=[table])


def _class() -> Any:
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(_file().SerializeToString())
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.NameTable"))
    return symbol_database.Default().RegisterMessage(made)


NameTable: Any = _class()
"""`table` maps hosts to `NameInfo`: ips, registry, and of Kubernetes' hosts shortname and namespace."""
