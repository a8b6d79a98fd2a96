"""ServiceEntry: a service that no Kubernetes Service stands for."""

import enum
import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from ..types import U32, LabelValue, Model
from .kubernetes import Foreign
from .workloadentry import WorkloadEntry


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("expected an IP address") from None


class Location(enum.Enum):
    """Whether the endpoints have sidecars; MESH_EXTERNAL when absent."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(enum.Enum):
    """How addresses are found; NONE when absent."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class ServicePort(Model):
    """A port of the service; without a protocol it is detected."""

    number: U32
    protocol: str | None = None
    name: str
    target_port: U32 | None = None


class WorkloadSelector(Model):
    """Workloads by label (`networking.WorkloadSelector`)."""

    labels: dict[str, LabelValue] = Field(default={}, max_length=256)


class ServiceEntry(Model):
    """The `spec` of a ServiceEntry."""

    hosts: list[str] = Field(max_length=256)
    addresses: list[str] = Field(default=[], max_length=256)
    ports: list[ServicePort] = Field(default=[], max_length=256)
    location: Location | None = None
    resolution: Resolution | None = None
    endpoints: list[WorkloadEntry] = Field(default=[], max_length=4096)
    workload_selector: WorkloadSelector | None = None
    export_to: list[str] = []
    subject_alt_names: list[str] = []


class StatusAddress(Foreign):
    """An address that some control plane has given a host; without a host it is every host's."""

    value: Annotated[str, AfterValidator(_ip)]
    host: str | None = None


class ServiceEntryStatus(Foreign):
    """The part of the `status` that tells addresses, which stay the same wherever the object goes."""

    addresses: list[StatusAddress] = []
