"""What a check says: the field, in the models' attribute names, and a sentence."""

from typing import NamedTuple

from ..problem import Severity
from ..tree import Path


class Finding(NamedTuple):
    """One broken rule; `path` begins below `spec`."""

    path: Path
    message: str
    severity: Severity = "error"
