"""What the mesh is at this moment: one snapshot, swapped whole, made of the files that count and the workloads that are there."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pymesh.api import Problem, Resource, has_errors
from pymesh.identity import SpiffeId

from .ads.subscription import Resources
from .analyze.run import warnings
from .generate import generate
from .metrics import Metrics
from .model import nodewords
from .model.assembly import build
from .model.census import census
from .model.credential import NO_CREDENTIALS, Credentials
from .model.snapshot import Snapshot
from .model.view import ProxyView, view_of
from .model.workload import Workload
from .store import revision
from .store.catalogue import Contents, Key
from .store.quarantine import Quarantine, blame

_log = logging.getLogger("pymesh.config")
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


class World:
    """The present snapshot and what is wrong with the configuration it was made from."""

    def __init__(self, trust_domain: str, metrics: Metrics, served: str = "") -> None:
        """`served` is the revision whose configuration counts (`revision.own`)."""
        self.trust_domain = trust_domain
        self._revision = served
        self.resources_read: Sequence[Resource] = ()
        """What the files say, refused resources too; `resources_used` has the last accepted version of those."""
        self.resources_used: Sequence[Resource] = ()
        self.refused: frozenset[Key] = frozenset()
        """Those of them that cannot be honoured."""
        self.problems: tuple[Problem, ...] = ()
        self._strangers: frozenset[str] = frozenset()
        self._told_of_nodes: set[str] = set()
        self._metrics = metrics
        self._quarantine = Quarantine()
        self.snapshot = build([], [], 0, trust_domain=trust_domain)[0]

    def rebuild(
        self,
        contents: Contents,
        workloads: Sequence[Workload],
        credentials: Credentials = NO_CREDENTIALS,
        names: Mapping[str, tuple[str, ...]] = {},
    ) -> None:
        """Replace the snapshot. A resource that it cannot honour is told, and stands there in its last accepted version.

        `names` are the addresses of networks' gateways that are known by name.
        """
        begun = time.monotonic()
        own, others = revision.own(contents.resources, self._revision)
        snapshot, refused = self._build(own, workloads, credentials, names)
        blamed = blame(refused, own)
        used: Sequence[Resource] = self._quarantine.replace(own, blamed)
        if blamed:
            snapshot, _ = self._build(used, workloads, credentials, names)
        self.resources_read, self.refused = own, frozenset(blamed)
        self.snapshot, self.resources_used = snapshot, used
        self._metrics.snapshot_time.observe(time.monotonic() - begun)
        self._tell_strangers(workloads)
        self._tell((*contents.problems, *others, *refused, *warnings(used, snapshot), *self._other_trust_domains(used)))

    def view(self, node: Any, identity: SpiffeId | None) -> ProxyView:
        """A client as the generators see it. Raises ValueError."""
        view = view_of(node, identity)
        for key, reason in nodewords.unused(view.metadata):
            if key not in self._told_of_nodes:
                self._told_of_nodes.add(key)
                _log.warning("%s: node metadata %s has no effect here: %s (told once, whoever else says it)", view.node_id, key, reason)
        return view

    def resources(self, view: ProxyView) -> Resources:
        """The present snapshot through a client's eyes; it stays the same whatever is built later."""
        return partial(generate, self.snapshot, view)

    def _build(
        self, resources: Sequence[Resource], workloads: Sequence[Workload], credentials: Credentials, names: Mapping[str, tuple[str, ...]]
    ) -> tuple[Snapshot, list[Problem]]:
        """The certificates decide which trust domain the mesh is: a policy for another would refuse all of them."""
        version = self.snapshot.version + 1
        return build(resources, workloads, version, credentials, names=names, former=self.snapshot, trust_domain=self.trust_domain)

    def _other_trust_domains(self, resources: Sequence[Resource]) -> list[Problem]:
        text = f"this control plane runs for trust domain {self.trust_domain}; restart it to change that"
        return [
            Problem.at(resource.position_of("data", "mesh"), f"trustDomain {domain}: {text}")
            for resource in resources
            if (domain := trust_domain_in(resource)) not in (None, self.trust_domain)
        ]

    def _tell_strangers(self, workloads: Sequence[Workload]) -> None:
        """Log each registered workload that takes no part, when that begins: it names no group that could be its own."""
        there = {(one.namespace, one.name) for one in self.snapshot.workloads}
        strangers = {one.node_id: one for one in workloads if one.group and (one.namespace, one.name) not in there}
        for one in (strangers[node_id] for node_id in sorted(strangers.keys() - self._strangers)):
            text = "workload %s/%s is sent nothing: no WorkloadGroup %s is there that is for service account %s"
            _log.warning(text, one.namespace, one.name, one.group, one.service_account or "(none)")
        self._strangers = frozenset(strangers)

    def _tell(self, problems: tuple[Problem, ...]) -> None:
        """Log each problem when it appears, in the form that editors turn into a link, and count."""
        for problem in problems:
            if problem not in self.problems:
                _log.log(_LEVELS[problem.severity], "%s", problem)
        self.problems = problems
        metrics = self._metrics
        (metrics.validation_failed if has_errors(problems) else metrics.validation_passed).inc()
        for severity in _LEVELS:
            metrics.config_problems.labels(severity).set(sum(problem.severity == severity for problem in problems))
        metrics.refused_configs.clear()
        for kind, namespace, name in self.refused:
            metrics.refused_configs.labels(kind, f"{namespace}/{name}").set(1)
        for name, number in census(self.snapshot).items():
            metrics.census[name].set(number)


def trust_domain_in(resource: Resource) -> str | None:
    """The trust domain that a MeshConfig asks for; None for other resources, and when it leaves it open."""
    return resource.spec.trust_domain if resource.kind == "ConfigMap" else None
