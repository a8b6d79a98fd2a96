"""Running the rules: over files alone, or over a mesh that runs."""

from collections.abc import Iterable, Sequence

from pymesh.api import Problem, Resource
from pymesh.api.diagnostic import Diagnostic

from ..model.assembly import build
from ..model.snapshot import Snapshot
from .catalogue import RULES
from .subject import Subject


def of_files(resources: Sequence[Resource]) -> list[Diagnostic]:
    """Everything that can be told of resources without a mesh. Those that the control plane would refuse must be left out before."""
    subject = Subject(resources, build(resources, (), 0)[0])
    return sorted({found for rule in RULES if rule.offline for found in rule.diagnostics(subject)})


def warnings(resources: Iterable[Resource], snapshot: Snapshot) -> list[Problem]:
    """What a person should look at when these resources are loaded: they are honoured, and point at something that is not there."""
    subject = Subject(resources, snapshot)
    return sorted({found.on_load() for rule in RULES if rule.on_load for found in rule.diagnostics(subject)})
