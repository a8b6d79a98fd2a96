"""Files and folders to texts."""

from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".yaml", ".yml", ".json")


class Unreadable(Exception):
    """A file that cannot be read; the message is a sentence that names it."""


class Source(NamedTuple):
    """A text and the name it goes by in messages."""

    name: str
    text: str


def files(path: Path) -> list[Path]:
    """The path itself, or every configuration file below the folder in the order of their names."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file() and not _hidden(file, path))


def _hidden(file: Path, root: Path) -> bool:
    """Dot files, among them the `..data` folder through which Kubernetes swaps mounted ConfigMaps."""
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def read(file: Path) -> Source:
    """The text of a file; raises Unreadable."""
    try:
        return Source(str(file), file.read_bytes().decode())
    except OSError as error:
        raise Unreadable(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"cannot read {file}: it is not UTF-8 text (byte {error.start})") from error
