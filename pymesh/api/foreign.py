"""Objects of Kubernetes that are nothing to a mesh: which of them may lie beside its configuration, and which are mistakes in it."""

from .kinds import KINDS, KUBERNETES_KINDS
from .models.gatewayapi.references import GROUP as GATEWAY_API
from .problem import Severity
from .shape import closest

_CORE = frozenset({
    "Binding", "ComponentStatus", "ConfigMap", "Event", "LimitRange", "PersistentVolume", "PersistentVolumeClaim", "PodTemplate",
    "ReplicationController", "ResourceQuota", "Secret", "ServiceAccount",
})  # fmt: skip
"""What else there is in the group without a name, which nobody can extend."""
_GROUPS = frozenset(kind.group for kind in KINDS.values())
_INSTALLING = "install.istio.io"
_WORDS = frozenset(kind.written for kind in KINDS.values())
_ALIKE = 0.8

_UNREAD = {
    ("networking.k8s.io", "Ingress"): "what it routes is not served",
    ("multicluster.x-k8s.io", "ServiceExport"): "the mesh has one cluster",
    ("multicluster.x-k8s.io", "ServiceImport"): "the mesh has one cluster",
    ("inference.networking.k8s.io", "InferencePool"): "nobody picks its endpoints",
    (GATEWAY_API, "UDPRoute"): "no proxy passes UDP on",
    ("gateway.networking.x-k8s.io", "XBackend"): "name a Service or a Hostname as a backend",
    ("gateway.networking.x-k8s.io", "XBackendTrafficPolicy"): "say it in a DestinationRule",
}
"""What Istio reads, and what it means that this mesh does not."""


def is_foreign(word: str, api_version: str) -> bool:
    """Whether an object is none of a mesh's, rather than one of whose kind, group or version somebody has misspelt."""
    group = api_version.rpartition("/")[0]
    if not group:
        return word in _CORE
    if (group, word) in _UNREAD:
        return True
    known = KUBERNETES_KINDS.get(word)
    if group in _GROUPS or (known is not None and known.group == group):
        return False
    if group.endswith(".istio.io"):
        return group == _INSTALLING
    return word not in _WORDS or ("." in group and closest(group, _GROUPS, _ALIKE) is None)


def note(word: str, api_version: str) -> tuple[Severity, str]:
    """What there is to say of a foreign object."""
    unread = _UNREAD.get((api_version.rpartition("/")[0], word))
    if unread is not None:
        return "warning", f"Istio reads it and this mesh does not: {unread}"
    if (word, api_version) == ("Secret", "v1"):
        return "info", "is left alone: credentials come from the folder of --secrets"
    return "info", "is no configuration of a mesh, and is left alone"
