"""docs/ISTIO_FIELDS.md."""

from collections.abc import Iterator
from pathlib import Path

from .cases import KINDS_WALKED, Case, cases, leaves
from .observed import changes, observe

PAGE = Path(__file__).parents[2] / "docs" / "ISTIO_FIELDS.md"

_SHOWN = 3
"""How many changes of one row are written out."""

_HEAD = """# Istio's fields

What becomes of each field of Istio's networking kinds. Every row is a resource beside the mesh of `tests/leaves/mesh.yaml`, once with
the field set and once without it (or with another value), and how the configuration of four proxies differs, and the PROXY_CONFIG to
start them with: two sidecars of its namespace, one of another, and a gateway. `python -m tests.leaves` writes this page,
`tests/unit/docs/test_istio_fields.py` holds the code to it.

A field is *refused* with an error at its place, or has *no effect*: then a warning says so, but for names that only people read.
"""


def text() -> str:
    """The page as the code makes it now."""
    return _HEAD + "".join(_section(kind) for kind in KINDS_WALKED)


def write() -> str:
    """Write the page, and say so."""
    PAGE.write_text(text())
    return f"wrote {PAGE}"


def _section(kind: str) -> str:
    rows = "".join(_row(cases()[leaf.path]) for leaf in leaves() if leaf.kind == kind)
    return f"\n## {kind}\n\n| Field | Set to | What becomes of it |\n|---|---|---|\n{rows}"


def _row(case: Case) -> str:
    return f"| `{case.field.inner}` | {_code(_value(case))} | {_becomes(case)} |\n"


def _value(case: Case) -> str:
    return str(case.value).lower() if isinstance(case.value, bool) else str(case.value)


def _becomes(case: Case) -> str:
    if case.refused:
        return f"refused: {_escaped(_complaint(case))}"
    if case.unused:
        return f"no effect: {case.unused}"
    found = list(_found(case))
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "<br>".join([*map(_code, found[:_SHOWN]), *more])


def _complaint(case: Case) -> str:
    """The sentence of a refusal, without the resource's name."""
    said = next(one for one in observe(case.with_it).errors if case.refused in one)
    return said.partition(": ")[2].removeprefix("spec.")


def _found(case: Case) -> Iterator[str]:
    for line, proxies in changes(observe(case.without_it), observe(case.with_it)).items():
        yield line if "client" in proxies else f"{line} ({', '.join(proxies)})"


def _code(value: str) -> str:
    return f"`{_escaped(value.replace('`', ''))}`"


def _escaped(value: str) -> str:
    return value.replace("|", "\\|")
