"""WorkloadEntry: one workload that no pod stands for."""

from ..types import U32, Model


class WorkloadEntry(Model):
    """The `spec` of a WorkloadEntry, and an endpoint of a ServiceEntry; `ports` is by service port name."""

    address: str | None = None
    ports: dict[str, U32] = {}
    labels: dict[str, str] = {}
    network: str | None = None
    locality: str | None = None
    weight: U32 | None = None
    service_account: str | None = None
