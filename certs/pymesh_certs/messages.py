"""The two messages of `istio.v1.auth.IstioCertificateService`, as plain dataclasses over protobuf's wire form.

The descriptor is built here, with Istio's field numbers, in a pool of its own: a process that also loads Istio's generated
code must not meet two definitions of one name.
"""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
SERVICE, _, METHOD_NAME = METHOD.removeprefix("/").rpartition("/")

_PACKAGE = "istio.v1.auth"
_Field = descriptor_pb2.FieldDescriptorProto


def _field(name: str, number: int, kind: "_Field.Type.ValueType", *, repeated: bool = False, type_name: str = "") -> _Field:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    return _Field(name=name, number=number, type=kind, label=label, type_name=type_name or None)


def _file() -> descriptor_pb2.FileDescriptorProto:
    request = descriptor_pb2.DescriptorProto(
        name="IstioCertificateRequest",
        field=[
            _field("csr", 1, _Field.TYPE_STRING),
            _field("validity_duration", 3, _Field.TYPE_INT64),
            _field("metadata", 4, _Field.TYPE_MESSAGE, type_name=".google.protobuf.Struct"),
        ],
    )
    response = descriptor_pb2.DescriptorProto(
        name="IstioCertificateResponse", field=[_field("cert_chain", 1, _Field.TYPE_STRING, repeated=True)]
    )
    return descriptor_pb2.FileDescriptorProto(
        name="security/v1alpha1/ca.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/struct.proto"],
        message_type=[request, response],
    )


def _classes() -> tuple[Any, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_file().SerializeToString())
    found = [pool.FindMessageTypeByName(f"{_PACKAGE}.IstioCertificate{name}") for name in ("Request", "Response")]
    request, response = map(message_factory.GetMessageClass, found)
    return request, response


_Request, _Response = _classes()


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """`csr` is PEM; `validity` is in whole seconds; `metadata` is free-form (Istio: CertSigner, ImpersonatedIdentity)."""

    csr: str
    validity: int
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        message = _Request(csr=self.csr, validity_duration=self.validity)
        if self.metadata:
            message.metadata.update(self.metadata)
        return bytes(message.SerializeToString())

    @classmethod
    def from_bytes(cls, data: bytes) -> "CertificateRequest":
        message = _Request.FromString(data)
        return cls(message.csr, message.validity_duration, json_format.MessageToDict(message.metadata))


@dataclass(frozen=True, slots=True)
class CertificateResponse:
    """One PEM text for each step from the leaf up; the last element is the bundle of roots."""

    chain: tuple[str, ...]

    def to_bytes(self) -> bytes:
        return bytes(_Response(cert_chain=self.chain).SerializeToString())

    @classmethod
    def from_bytes(cls, data: bytes) -> "CertificateResponse":
        return cls(tuple(_Response.FromString(data).cert_chain))
