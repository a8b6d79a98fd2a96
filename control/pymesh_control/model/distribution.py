"""What a service wishes of where its traffic stays: Kubernetes' trafficDistribution, and Istio's annotation for the same."""

from collections.abc import Mapping

from pymesh.api import Resource
from pymesh.api.models.destinationrule import LocalityLbSetting

from .whereabouts import HOSTNAME_LABEL, LEVELS, NETWORK_LABEL

ANNOTATION = "networking.istio.io/traffic-distribution"

Wishes = Mapping[str, str]
"""What namespaces wish for their services, by name."""

_REGION, _ZONE, _SUB_ZONE = LEVELS
_SAME_ZONE = (NETWORK_LABEL, _REGION, _ZONE)
_SETTINGS = {
    "preferclose": _SAME_ZONE,
    "prefersamezone": _SAME_ZONE,
    "prefersamenode": (*_SAME_ZONE, _SUB_ZONE, HOSTNAME_LABEL),
}
"""The labels that clients and instances should share, the most important first."""


def wish(resource: Resource) -> str:
    """What the annotation of a Service, ServiceEntry or Namespace says."""
    return resource.annotations.get(ANNOTATION, "").lower()


def is_known(text: str) -> bool:
    """Whether a wish, in small letters, is one of those that there are."""
    return text in _SETTINGS


def setting(field: str | None, own: str, namespace: str) -> LocalityLbSetting | None:
    """What the field of a Service, its annotation and that of its namespace amount to: the first that counts decides.

    As in Istio's GetTrafficDistribution, an unknown field says nothing, while an unknown annotation asks for no preference.
    """
    stated = (field or "").lower()
    labels = _SETTINGS.get(stated if is_known(stated) else own or namespace)
    return LocalityLbSetting(failover_priority=list(labels)) if labels else None
