"""A rule of analysis: what is looked for, how bad it is, why, and what to do. Its check is a pure function of the subject."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pymesh.api import Resource
from pymesh.api.diagnostic import Diagnostic, Level, suppresses

from .subject import Path, Subject


class Found(NamedTuple):
    """One place where a rule applies, with the sentence that says so."""

    resource: Resource
    path: Path
    sentence: str
    of_object: bool = False
    """Whether the path begins at the whole object, whose metadata it leads to, rather than at its spec."""


Check = Callable[[Subject], Iterator[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `on_load`: the control plane warns of it when it reads the resource, not only when it is asked.

    `offline`: whether files alone are enough to tell; credentials, for one, are known to a running control plane only.
    """

    name: str
    code: str
    also: str
    """The code that Kiali has for it, when `code` is Istio's."""
    severity: Level
    what: str
    why: str
    fix: str
    on_load: bool
    offline: bool
    check: Check

    def diagnostics(self, subject: Subject) -> Iterator[Diagnostic]:
        """Its findings, but for those that a resource's own annotation does not want to hear of."""
        for resource, path, sentence, of_object in self.check(subject):
            if not suppresses(resource, self.code):
                where = resource.position_of(*(() if of_object else resource.root), *path)
                name = f"{resource.kind} {resource.namespace}/{resource.name}"
                place = (where.file, where.line, where.column)
                yield Diagnostic(*place, self.code, self.severity, name, sentence, self.why, self.fix)


def rule(
    code: str, severity: Level, what: str, *, why: str, fix: str, also: str = "", on_load: bool = False, offline: bool = True
) -> Callable[[Check], Rule]:
    """Make a Rule of a check, which gives it its name."""

    def make(check: Any) -> Rule:
        name = check.__name__.replace("_", "-")
        return Rule(
            name=name, code=code, also=also, severity=severity, what=what, why=why, fix=fix, on_load=on_load, offline=offline, check=check
        )  # fmt: skip

    return make

