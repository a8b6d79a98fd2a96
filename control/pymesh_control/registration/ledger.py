"""The file in which registrations outlive the control plane."""

import dataclasses
import json
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from ..model.workload import Workload

FORMAT = 1
_log = logging.getLogger("pymesh.registration")


class Ledger:
    """Registered workloads as JSON in one file, replaced whole so that a kill at any moment leaves the old or the new."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "registrations.json"
        self._writing = threading.Lock()

    def read(self) -> list[Workload]:
        """What was last written. A file that cannot be used is told and counts as empty: proxies register again anyway."""
        try:
            content = json.loads(self.path.read_text())
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r} is not {FORMAT}")
            return [Workload(**fields) for fields in content["workloads"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning("%s: cannot use the registrations kept here: %s", self.path, error)
            return []

    def write(self, workloads: Iterable[Workload]) -> None:
        """Replace the file. Raises OSError. Threads take turns: one whose caller was cancelled goes on, and has a draft."""
        content = {"format": FORMAT, "workloads": [dataclasses.asdict(workload) for workload in workloads]}
        draft = self.path.with_suffix(".tmp")
        with self._writing:
            with draft.open("w") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
