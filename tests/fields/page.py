"""The page itself."""

from pathlib import Path

from .coverage import ROOT, covering
from .declared import Declared
from .states import Row, State, kinds

PAGE = ROOT / "docs" / "FIELDS.md"

_HEAD = """# Envoy's fields

What becomes of each field of the messages that a bootstrap or a control plane can send to `pymesh-proxy`. `python -m tests.fields` writes
this page from Envoy's protobuf descriptors and from what the compilers say when they are given such messages, and a test fails when it is
stale.

- **honoured**: it does here what it does in Envoy; the test that shows it is named.
- **harmless**: it is accepted and changes nothing, for the reason given.
- **refused**: a resource that sets it is refused with the field's path. Messages inside a refused field, and messages that are in no
  table, are never looked into. Where one value asks for what is done anyway, that value is taken.
"""


def text(found: Declared) -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(kind, rows) for kind, rows in kinds(found).items() if rows)])


def write(found: Declared) -> Path:
    """Write it where it belongs."""
    PAGE.write_text(text(found))
    return PAGE


def _section(kind: str, rows: list[Row]) -> str:
    lines = [f"| `{row.name}` | {row.state.value} | {_remark(kind, row)} |" for row in rows]
    return "\n".join([f"## {kind.removeprefix('envoy.')}\n", "| Field | | |", "|---|---|---|", *lines, ""])


def _remark(kind: str, row: Row) -> str:
    if row.state is not State.HONOURED:
        return row.why
    test = covering(kind, row.name).removeprefix("tests/")
    return f"`{test}`{f'; {row.why}' if row.why else ''}"
