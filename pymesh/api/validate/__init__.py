"""What a schema cannot say: Istio's own checks of each kind, as pure functions over the models."""

from collections.abc import Iterable

from ..types import Model
from .finding import Finding


def check(_spec: Model, _namespace: str) -> Iterable[Finding]:
    """Everything wrong with one resource's spec."""
    return ()
