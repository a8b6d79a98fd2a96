"""A resource as the planes hold it: its metadata, its spec, and the way back to the file."""

import datetime
from dataclasses import dataclass, field
from typing import Any

from .problem import Position
from .tree import Mapping, Path, Step, find

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Resource:
    """One Kubernetes object. `spec` is the model of its kind (`kinds.KINDS[kind].model`; `MeshConfig` for the ConfigMap `istio`;
    for Kubernetes' own kinds that of the whole object, `kinds.KUBERNETES_KINDS[kind].model`), and stands at `root` in the document.

    Two resources are equal when they say the same, wherever they stand.
    """

    kind: str
    api_version: str
    name: str
    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: Any
    where: Position = field(compare=False)
    document: Mapping = field(compare=False, repr=False)
    created: datetime.datetime | None = None
    is_deleting: bool = False
    root: Path = field(default=("spec",), compare=False, repr=False)
    status: Any = None
    """What the file holds of the kind's `status`, for kinds of which that counts (`kinds.Kind.status`)."""

    def position_of(self, *path: Step) -> Position:
        """The place of a field (`"spec", "http", 0, "fault"`, in either spelling), or of its nearest ancestor that the file holds."""
        return Position(self.where.file, *find(self.document, path).mark)
