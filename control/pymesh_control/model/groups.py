"""WorkloadGroups: what workloads that register themselves have in common, and which of them belong to one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pymesh.api import Resource
from pymesh.labels import LOCALITIES

from .view import ProxyView
from .workload import TLS_MODE_LABEL, Workload

_LONGEST_NAME = 253
"""Characters of a Kubernetes object's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One WorkloadGroup: the labels of its workloads, and the template of all else."""

    labels: Mapping[str, str]
    template: Any
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Those that the entries of its workloads get."""

    def joined(self, workload: Workload) -> Workload | None:
        """A workload as its group completes it: what its proxy says of itself stands over that, but for ports and service account.

        None for one that runs as somebody else than the group's workloads do.
        """
        account = self.template.service_account or ""
        if account and workload.service_account not in ("", account):
            return None
        labels = {**self.labels, **{key: value for key, value in workload.labels.items() if key not in LOCALITIES}}
        return replace(
            workload,
            labels=labels,
            ports={**self.template.ports, **workload.ports},
            service_account=account or workload.service_account,
            network=workload.network or self.template.network or "",
            locality=workload.locality or self.template.locality or "",
            weight=self.template.weight or 1,
            tls_mode=labels.get(TLS_MODE_LABEL) or workload.tls_mode,
        )

    def seen(self, view: ProxyView) -> ProxyView:
        """A member's proxy, with the labels and the locality that its workload has."""
        return replace(view, labels={**self.labels, **view.labels}, locality=view.locality or self.template.locality or "")


Groups = Mapping[tuple[str, str], Group]
"""By namespace and name."""


def from_resource(resource: Resource) -> Group:
    spec = resource.spec
    own = spec.metadata.labels if spec.metadata else {}
    annotations = dict(spec.metadata.annotations) if spec.metadata else {}
    return Group(labels={**spec.template.labels, **own}, template=spec.template, annotations=annotations)


def entry_name(group: str, address: str, network: str) -> str:
    """What Istio calls the WorkloadEntry of a member."""
    name = "-".join(filter(None, (group, address.replace(":", "-"), network)))
    return name[-_LONGEST_NAME:]


def member(workload: Workload, groups: Groups) -> Workload | None:
    """A registered workload as it takes part; None while its group is not there, or not its own."""
    if not workload.group:
        return workload
    group = groups.get((workload.namespace, workload.group))
    return group.joined(workload) if group else None
