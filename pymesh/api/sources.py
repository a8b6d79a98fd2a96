"""Files and folders to texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".yaml", ".yml", ".json")


class Unreadable(Exception):
    """A path that cannot be read; the message is a sentence that names it."""


class Source(NamedTuple):
    """A text and the name it goes by in messages."""

    name: str
    text: str


def texts(path: str | Path) -> Iterator[Source]:
    """The file, or every configuration file below the folder in the order of their names; raises Unreadable."""
    for file in _files(Path(path)):
        try:
            yield Source(str(file), file.read_bytes().decode())
        except OSError as error:
            raise Unreadable(f"cannot read {file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Unreadable(f"cannot read {file}: it is not UTF-8 text (byte {error.start})") from error


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file() and not _hidden(file, path))
    return [path]


def _hidden(file: Path, root: Path) -> bool:
    """Dot files, among them the `..data` folder through which Kubernetes swaps mounted ConfigMaps."""
    return any(part.startswith(".") for part in file.relative_to(root).parts)
