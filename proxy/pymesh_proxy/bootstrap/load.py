"""The bootstrap's texts (a file, `--config-yaml`) merged into one message that remembers where each field was written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymesh.xds import proto

from ..errors import ConfigError, Problem
from .document import Document, read

_BINARY = frozenset({".pb", ".pb_text"})


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Envoy's Bootstrap message and the documents it was read from (none when it was built from the environment)."""

    message: Any
    documents: tuple[Document, ...] = ()

    def locate(self, error: ConfigError) -> list[str]:
        """The problems as `file:line:col: error: path: sentence`."""
        return [f"{place}: error: {problem}" if (place := self._place(problem.path)) else str(problem) for problem in error.problems]

    def _place(self, path: str) -> str:
        for document in self.documents:
            if (place := document.place(path)) != document.filename:
                return place
        return self.documents[0].filename if self.documents else ""


def load(path: Path | None, overlay: str = "") -> Bootstrap:
    """Read the file, then merge `overlay` over it as Envoy's `--config-yaml` does; raises ConfigError with every mistake of both."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for name, text in _texts(path, overlay):
        try:
            documents.append(read(text, name, proto.bootstrap.Bootstrap))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    merged = proto.bootstrap.Bootstrap()
    for document in documents:
        merged.MergeFrom(document.message)
    return Bootstrap(merged, tuple(documents))


def _texts(path: Path | None, overlay: str) -> list[tuple[str, str]]:
    texts = []
    if path is not None:
        if path.suffix in _BINARY:
            raise ConfigError(Problem(str(path), f"{path.suffix} files are not supported; write YAML or JSON"))
        try:
            texts.append((str(path), path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
        except UnicodeDecodeError as error:
            raise ConfigError(Problem(str(path), f"is not UTF-8: {error.reason}")) from error
    if overlay:
        texts.append(("--config-yaml", overlay))
    return texts
