"""The pages as tests look at them: sections by heading, the words in `code`, the fenced blocks, the links."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
README, CHANGELOG = ROOT / "README.md", ROOT / "CHANGELOG.md"
DOCS = ROOT / "docs"
ANALYSIS, ARCHITECTURE, CONFIGURATION, PROXYLESS, STATUS = (
    DOCS / f"{name}.md" for name in ("ANALYSIS", "ARCHITECTURE", "CONFIGURATION", "PROXYLESS", "STATUS")
)
ALL = (README, CHANGELOG, ARCHITECTURE, ANALYSIS, CONFIGURATION, PROXYLESS, STATUS)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"[|-]+")
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def blocks(page: Path, language: str = "") -> list[str]:
    """The fenced blocks of a language."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def section(page: Path, *path: str) -> str:
    """The text below a heading, found by its own name and those above it, up to the next heading of its rank or above."""
    text = prose(page)
    for name in path:
        found = next((one for one in _HEADING.finditer(text) if one[2] == name), None)
        assert found is not None, f"{page.name} has no heading {name!r}"
        text = text[found.end() :]
        end = next((one.start() for one in _HEADING.finditer(text) if len(one[1]) <= len(found[1])), len(text))
        text = text[:end]
    return text


def code(text: str) -> list[str]:
    """Everything that stands in single backticks, in order."""
    return re.findall(r"`([^`\n]+)`", text)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row below a head; no cell holds a bar."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    body = [line for line, below in zip(lines, [*lines[1:], ""], strict=True) if not _RULE.fullmatch(line) and not _RULE.fullmatch(below)]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in body]


def first_cells(text: str) -> list[str]:
    """The words in code of each row's first cell."""
    return [word for row in rows(text) for word in code(row[0])]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for _, name in _HEADING.findall(prose(page))}


def same(documented: list[str] | set[str], real: set[str], what: str) -> None:
    """Fail with what is missing on either side."""
    told = set(documented)
    assert not real - told, f"{what}: not documented: {sorted(real - told)}"
    assert not told - real, f"{what}: documented, and does not exist: {sorted(told - real)}"
