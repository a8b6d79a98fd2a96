"""Links lead somewhere, names in code exist, commands of the Makefile are there."""

import importlib
import re
from pathlib import Path

import pytest

from .pages import ARCHITECTURE, CHANGELOG, DOCS, README, ROOT, STATUS, anchors, code, prose, rows, section

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_PACKAGES = ("", "pymesh_proxy.", "pymesh_control.", "pymesh_certs.", "pymesh.")
_FILES = (".yaml", ".toml", ".pem")


@pytest.mark.parametrize("page", sorted({README, CHANGELOG, *DOCS.glob("*.md")}), ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link} leads to no file"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} leads to no heading"


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _LINK.findall(prose(README)) if not link.startswith("https://")}
    assert set(DOCS.glob("*.md")) <= linked


def test_every_name_in_code_of_the_architecture_exists() -> None:
    names = [name for name in code(prose(ARCHITECTURE)) if _NAME.fullmatch(name) and not name.endswith(_FILES)]
    assert len(names) > 80
    for name in names:
        assert any(_exists(package + name) for package in _PACKAGES), f"ARCHITECTURE.md names {name}, which is nowhere"


def test_every_bound_has_the_value_that_is_told() -> None:
    table = rows(section(ARCHITECTURE, "What is bounded"))
    assert len(table) > 15
    for _, value, where in table:
        (name,) = code(where)
        real = next(found for package in _PACKAGES if (found := _value(package + name)) is not None)
        assert float(value) == real, f"ARCHITECTURE.md says that {name} is {value}"


@pytest.mark.parametrize("page", [README, STATUS], ids=lambda page: page.name)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)`", page.read_text()))
    assert named
    assert named <= targets


def _value(name: str) -> object | None:
    """What a dotted name stands for: a module, or an attribute of one; None for nothing."""
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            found = getattr(found, part, None)
        return found
    return None


def _exists(name: str) -> bool:
    return _value(name) is not None
