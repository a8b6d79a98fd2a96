"""ObjectMeta: what every Kubernetes object says about itself."""

import datetime
from typing import Any

from ..types import Model


class Metadata(Model):
    """Kubernetes' ObjectMeta; what only the API server writes is accepted and ignored."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: datetime.datetime | None = None
    deletion_grace_period_seconds: Any = None
    deletion_timestamp: Any = None
    finalizers: Any = None
    generate_name: Any = None
    generation: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    resource_version: Any = None
    self_link: Any = None
    uid: Any = None


class ForeignMetadata(Metadata):
    """The same of an object that is not ours."""

    OPEN = True
