"""Where something generated comes from: the resource that asked for it."""

from typing import NamedTuple


class Origin(NamedTuple):
    """One resource. Its file and line are not here: they move when a comment is written, and what is generated must not change then."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"
