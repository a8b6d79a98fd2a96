"""How objects of the Gateway API name one another."""

import enum
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, Strict

from ... import durations
from ...types import Model
from ..kubernetes import PortNumber

GROUP = "gateway.networking.k8s.io"

_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")


def _duration(value: object) -> float:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise durations.InvalidDuration('expected a duration of whole numbers such as "10s", "100ms" or "1h30m"')
    return durations.parse(value, zero=True)


GatewayDuration = Annotated[float, BeforeValidator(_duration), PlainSerializer(durations.render, when_used="json")]
"""Seconds, 0 for none; GEP-2257 allows less than Go does."""

Weight = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]


class ParentReference(Model):
    """What a route attaches to: a Gateway or some of its listeners, or (in the mesh) a Service or some of its ports."""

    group: str = GROUP
    kind: str = "Gateway"
    namespace: str | None = None
    name: str
    section_name: str | None = None
    port: PortNumber | None = None


class BackendObjectReference(Model):
    """What requests or connections are sent to."""

    group: str = ""
    kind: str = "Service"
    name: str
    namespace: str | None = None
    port: PortNumber | None = None


class BackendRef(BackendObjectReference):
    """One share of a rule's requests or connections."""

    weight: Weight = 1


class SecretObjectReference(Model):
    """A certificate with its key."""

    group: str = ""
    kind: str = "Secret"
    name: str
    namespace: str | None = None


class ObjectReference(Model):
    """Any object."""

    group: str
    kind: str
    name: str
    namespace: str | None = None


class LocalObjectReference(Model):
    """An object of one's own namespace."""

    group: str
    kind: str
    name: str


class DefaultScope(enum.Enum):
    """Whether routes without parents attach to a Gateway of their own accord."""

    ALL = "All"
    NONE = "None"


class ParentGatewayReference(Model):
    """The Gateway that a ListenerSet attaches to."""

    group: str = GROUP
    kind: str = "Gateway"
    name: str
    namespace: str | None = None


class RouteSpec(Model):
    """What the specs of all kinds of route have."""

    parent_refs: list[ParentReference] = []
    use_default_gateways: DefaultScope | None = None
