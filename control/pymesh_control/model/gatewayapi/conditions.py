"""What is told of an object of the Gateway API: the conditions that its status has in a cluster."""

from dataclasses import dataclass

from ..origin import Origin
from ..support import Path

ACCEPTED = "Accepted"
RESOLVED = "ResolvedRefs"
PROGRAMMED = "Programmed"
CONFLICTED = "Conflicted"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `path` is the field of the object's spec that a reader should look at.

    `follows` says that it is bad only because another one is.
    """

    type: str
    status: bool
    reason: str
    message: str = ""
    path: Path = ()
    follows: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it is as it should be: of all conditions, a conflict alone is bad when it is true."""
        return self.status != (self.type == CONFLICTED)


def good(type_: str) -> Condition:
    """A condition with nothing to tell."""
    return Condition(type_, type_ != CONFLICTED, {CONFLICTED: "NoConflicts"}.get(type_, type_))


def bad(type_: str, reason: str, message: str, path: Path = (), *, follows: bool = False) -> Condition:
    """A condition that somebody has to do something about."""
    return Condition(type_, type_ == CONFLICTED, reason, message, path, follows)


def settled(found: list[Condition], *types: str) -> tuple[Condition, ...]:
    """Every condition of the types asked for: the bad ones that were found, each of the others as good."""
    return tuple(condition for type_ in types for condition in [one for one in found if one.type == type_] or [good(type_)])


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """One listener of a Gateway."""

    name: str
    supported_kinds: tuple[str, ...]
    attached_routes: int
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class ParentStatus:
    """A route as one of its parents sees it."""

    parent: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One object: a Gateway has conditions and listeners, a route parents."""

    kind: str
    namespace: str
    name: str
    conditions: tuple[Condition, ...] = ()
    listeners: tuple[ListenerStatus, ...] = ()
    parents: tuple[ParentStatus, ...] = ()

    @property
    def origin(self) -> Origin:
        return Origin(self.kind, self.namespace, self.name)

    @property
    def unmet(self) -> list[Condition]:
        """What is not as it should be, each once, without what only follows."""
        parts = (self.conditions, *(one.conditions for one in self.listeners), *(one.conditions for one in self.parents))
        return list(dict.fromkeys(one for part in parts for one in part if not one.is_good and not one.follows))
