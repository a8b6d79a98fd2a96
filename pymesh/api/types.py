"""What the models are made of: the base class, protobuf's numbers, durations, and the messages that several kinds share."""

from typing import Annotated, ClassVar

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict

from . import durations
from .tree import json_name


class Model(BaseModel):
    """A message of Istio's API: attributes have the protobuf names, absent fields are None, empty lists or empty maps.

    ONEOFS names the fields of which at most one may be set.
    OPEN says that fields it does not know are no mistakes.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, alias_generator=AliasGenerator(serialization_alias=json_name)
    )
    ONEOFS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    OPEN: ClassVar[bool] = False


def _duration(value: object) -> object:
    return durations.parse(value) if isinstance(value, str) else _not_a_duration()


def _duration_or_zero(value: object) -> object:
    return durations.parse(value, zero=True) if isinstance(value, str) else _not_a_duration()


def _not_a_duration() -> object:
    raise durations.InvalidDuration('expected a duration such as "10s" or "100ms"')


_AS_TEXT = PlainSerializer(durations.render, when_used="json")

Duration = Annotated[float, BeforeValidator(_duration), _AS_TEXT]  # seconds, at least 1 ms
DurationOrZero = Annotated[float, BeforeValidator(_duration_or_zero), _AS_TEXT]  # seconds, where 0 has a meaning of its own
U32 = Annotated[int, Strict(), Field(ge=0, le=2**32 - 1)]
U64 = Annotated[int, Strict(), Field(ge=0, le=2**64 - 1)]
I32 = Annotated[int, Strict(), Field(ge=-(2**31), le=2**31 - 1)]
Double = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Bool = Annotated[bool, Strict()]
LabelValue = Annotated[str, Field(max_length=63)]


class StringMatch(Model):
    """How a text is compared; none of the three set means that it has to be present."""

    ONEOFS = (("exact", "prefix", "regex"),)
    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class PortSelector(Model):
    """A port of a service."""

    number: U32 | None = None


class PolicySelector(Model):
    """Workloads of a policy, by label (`type.v1beta1.WorkloadSelector`)."""

    match_labels: dict[str, LabelValue] = Field(default={}, max_length=4096)


class PolicyTargetReference(Model):
    """A resource that a policy attaches to (`type.v1beta1.PolicyTargetReference`); it must stand in the policy's own namespace."""

    group: str | None = None
    kind: str
    name: str = Field(max_length=253)
    namespace: str | None = None
