"""exportTo: which namespaces may see a resource."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visibility:
    """The namespaces that a resource of namespace `owner` is exported to; `everywhere` for `*`."""

    owner: str
    everywhere: bool
    namespaces: frozenset[str] = frozenset()

    @property
    def private(self) -> bool:
        """Seen by its own namespace and no other."""
        return not self.everywhere and self.namespaces <= {self.owner}

    def reaches(self, namespace: str) -> bool:
        return self.everywhere or namespace in self.namespaces


def exported(export_to: Sequence[str], owner: str) -> Visibility:
    """Read an exportTo list: empty means everywhere, `.` the owner's namespace, `~` nowhere."""
    if not export_to or "*" in export_to:
        return Visibility(owner, everywhere=True)
    return Visibility(owner, everywhere=False, namespaces=frozenset(owner if name == "." else name for name in export_to if name != "~"))
