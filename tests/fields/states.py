"""The state of one field, as all compilers together say it."""

import enum
from dataclasses import dataclass
from typing import Any

from .declared import WHOLE, Declared


class State(enum.Enum):
    """What becomes of a field that is set."""

    HONOURED = "honoured"
    HARMLESS = "harmless"
    REFUSED = "refused"


@dataclass(frozen=True, order=True)
class Row:
    """One field of one kind of message."""

    name: str
    state: State
    why: str = ""


def kinds(found: Declared) -> dict[str, list[Row]]:
    """The rows of every kind of message that is looked into, in the order of its fields."""
    return {kind: [_row(found, kind, field.name) for field in found.types[kind].fields] for kind in sorted(found.by_kind)}


def _row(found: Declared, kind: str, name: str) -> Row:
    """A field may mean something in one place and nothing in another: then it is honoured, and what the others say is told."""
    said = found.by_kind[kind]
    reasons = sorted({dict(each.harmless)[name] for each in said if name in dict(each.harmless)})
    defaults = sorted({dict(each.at_default)[name] for each in said if name in dict(each.at_default)})
    notes = [*reasons, *(f"only `{value}` is taken" for value in defaults)]
    if any(name in each.honoured for each in said):
        partly = ["refused elsewhere"] if any(not _takes(each, name) for each in said) else []
        elsewhere = [f"elsewhere {note}" for note in notes]
        return Row(name, State.HONOURED, "; ".join([*elsewhere, *partly]))
    if reasons:
        return Row(name, State.HARMLESS, "; ".join(notes))
    return Row(name, State.REFUSED, "; ".join(notes))


def _takes(declaration: Any, name: str) -> bool:
    return name in declaration.honoured or name in dict(declaration.harmless) or name in dict(declaration.at_default)


def unread(found: Declared) -> list[str]:
    """Honoured fields whose messages no compiler says anything of, as `kind.field: type`."""
    missing = []
    for kind, rows in kinds(found).items():
        for row in rows:
            inner = found.inner(kind, row.name)
            looked_into = not inner or inner in found.by_kind or inner in WHOLE or inner.startswith("google.")
            if row.state is State.HONOURED and not looked_into:
                missing.append(f"{kind}.{row.name}: {inner}")
    return missing
