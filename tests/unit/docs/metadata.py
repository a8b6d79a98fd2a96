"""docs/METADATA.md: what becomes of Istio's annotations, labels and node metadata. `python -m tests.unit.docs.metadata` writes it."""

# ruff: noqa: E501  (lines of a page)

from collections.abc import Iterator
from pathlib import Path

from pymesh_control.model.nodewords import UNUSED
from pymesh_control.model.wellknown import ANNOTATIONS, LABELS, Words

PAGE = Path(__file__).resolve().parents[3] / "docs" / "METADATA.md"

_HEAD = """# Annotations, labels and node metadata

What becomes of those that Istio's reference lists. `python -m tests.unit.docs.metadata` writes this page from the tables of the control plane, and a
test fails when it is stale. What changes nothing is told once when it is loaded: as a warning, or as an information where it is for those
who start a pod's proxy. `pymesh analyze` tells it, too, with what is misplaced (IST0107), not Istio's (IST0108), of the wrong form (IST0125) or
deprecated (IST0135).
"""

_NODE = """
## Node metadata without effect

[CONFIGURATION](CONFIGURATION.md#node-metadata) has the keys that are read. Of these, the control plane logs a warning when the first proxy
brings them and they ask for something. What only tells of a proxy, or is for its agent, is not listed.

| Key | Why |
|---|---|
"""


def text() -> str:
    rows = "".join(f"| `{key}` | {reason} |\n" for key, reason in sorted(UNUSED.items()))
    return f"{_HEAD}{''.join(_table('Annotations', ANNOTATIONS))}{''.join(_table('Labels', LABELS))}{_NODE}{rows}"


def _table(title: str, words: Words) -> Iterator[str]:
    yield f"\n## {title}\n\n| Name | On | |\n|---|---|---|\n"
    for name, word in sorted(words.items()):
        fate = f"without effect: {word.reason}" if word.reason else "honoured, or tells and asks for nothing"
        yield f"| `{name}` | {', '.join(sorted(word.kinds))} | {fate} |\n"


if __name__ == "__main__":
    PAGE.write_text(text())
