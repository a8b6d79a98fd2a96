"""Names, namespaces and annotations, which are checked for every kind alike."""

from ..models.metadata import Metadata
from . import common, words
from .finding import Finding, Findings, below, verdict

# Annotations by which istiod marks objects of its own making.
_RESERVED = frozenset({"internal.istio.io/webhook-always-reject", "internal.istio.io/parent-namespace", "internal.istio.io/parents"})
_DRY_RUN = "istio.io/dry-run"


def check(metadata: Metadata) -> Findings:
    """Everything wrong with an object's metadata; paths begin below `metadata`."""
    yield from verdict("name", words.object_name(metadata.name))
    if metadata.namespace is not None:
        yield from verdict("namespace", words.dns_label(metadata.namespace))
    yield from below("labels", common.labels(metadata.labels))
    for key in metadata.annotations:
        if key in _RESERVED:
            yield Finding(("annotations", key), "this annotation is reserved for the control plane")
        if key == _DRY_RUN:
            yield Finding(("annotations", key), "a dry run is only for AuthorizationPolicy")
