"""Fields that Envoy 1.40 has and xds-protos has not yet, put into its descriptors while they are loaded.

Imported before anything of `envoy`, it makes them fields like any other: of bootstraps, of EnvoyFilters, of configuration dumps. A version
of xds-protos that has them itself is left as it is.
"""

import importlib
import sys
from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2

_MODULE = "envoy.config.cluster.v3.circuit_breaker_pb2"
_FILE = "envoy/config/cluster/v3/circuit_breaker.proto"
_Field = descriptor_pb2.FieldDescriptorProto
_INTERVAL = _Field(
    name="budget_interval", json_name="budgetInterval", number=3, label=_Field.LABEL_OPTIONAL,
    type=_Field.TYPE_MESSAGE, type_name=f".{duration_pb2.Duration.DESCRIPTOR.full_name}",
)  # fmt: skip
"""How long requests count for a retry budget."""


class _Pool:
    """The pool that protobuf modules register with, as far as they use it."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def AddSerializedFile(self, serialized: bytes) -> Any:  # noqa: N802  protobuf's name
        return self._pool.AddSerializedFile(_with_interval(serialized))


def _with_interval(serialized: bytes) -> bytes:
    file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
    if file.name == _FILE:  # and not one that this one imports
        thresholds = _named(_named(file.message_type, "CircuitBreakers").nested_type, "Thresholds")
        budget = _named(thresholds.nested_type, "RetryBudget")
        if all(field.name != _INTERVAL.name for field in budget.field):
            budget.field.append(_INTERVAL)
            file.dependency.append(duration_pb2.DESCRIPTOR.name)
    return file.SerializeToString()


def _named(messages: Iterable[descriptor_pb2.DescriptorProto], name: str) -> descriptor_pb2.DescriptorProto:
    return next(one for one in messages if one.name == name)


def _load() -> None:
    """Import the module with the pool that its file goes through replaced; protobuf takes a file once, and changes it never again."""
    assert _MODULE not in sys.modules, f"{_MODULE} was imported before {__name__}"
    usual = descriptor_pool.Default
    amending = _Pool(usual())
    descriptor_pool.Default = lambda: amending  # type: ignore[assignment, return-value]
    try:
        importlib.import_module(_MODULE)
    finally:
        descriptor_pool.Default = usual


_load()
