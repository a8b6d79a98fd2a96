"""WorkloadEntry: one workload that no pod stands for."""

from pydantic import Field

from ..types import U32, Model


class WorkloadEntry(Model):
    """The `spec` of a WorkloadEntry, and an endpoint of a ServiceEntry; `ports` is by service port name."""

    address: str | None = Field(default=None, max_length=256)
    ports: dict[str, U32] = Field(default={}, max_length=128)
    labels: dict[str, str] = Field(default={}, max_length=256)
    network: str | None = Field(default=None, max_length=2048)
    locality: str | None = Field(default=None, max_length=2048)
    weight: U32 | None = None
    service_account: str | None = Field(default=None, max_length=253)
