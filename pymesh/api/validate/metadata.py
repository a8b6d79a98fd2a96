"""Names, namespaces and annotations, which are checked for every kind alike."""

from ..models.metadata import Metadata
from . import common, words
from .finding import Finding, Findings, below, verdict

# Annotations by which istiod marks objects of its own making.
_RESERVED = frozenset({"internal.istio.io/webhook-always-reject", "internal.istio.io/parent-namespace", "internal.istio.io/parents"})
DRY_RUN = "istio.io/dry-run"
_TRUTHS = frozenset({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"})
"""What Go reads as a truth value."""


def check(metadata: Metadata, kind: str) -> Findings:
    """Everything wrong with the metadata of an object of a kind; paths begin below `metadata`."""
    yield from check_names(metadata)
    yield from below("labels", common.labels(metadata.labels))
    for key, value in metadata.annotations.items():
        if key in _RESERVED:
            yield Finding(("annotations", key), "this annotation is reserved for the control plane")
        if key == DRY_RUN:
            yield from verdict(("annotations", key), _dry_run(kind, value))


def check_names(metadata: Metadata) -> Findings:
    """What is wrong with the names alone."""
    yield from verdict("name", words.object_name(metadata.name))
    if metadata.namespace:
        yield from verdict("namespace", words.dns_label(metadata.namespace))


def _dry_run(kind: str, value: str) -> str | None:
    if kind != "AuthorizationPolicy":
        return "a dry run is only for AuthorizationPolicy"
    return None if value in _TRUTHS else f'"{value}" is neither true nor false'
