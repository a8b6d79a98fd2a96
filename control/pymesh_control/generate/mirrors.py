"""Destinations that get a copy of a route's requests."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pymesh.xds import proto

from .faults import share

if TYPE_CHECKING:
    from .routes import Place

_POLICY = proto.route_components.RouteAction.RequestMirrorPolicy


def policies(place: "Place", http: Any) -> list[Any]:
    """The mirrors of an HTTPRoute; one with a share of zero is none."""
    return [_policy(place, destination, fraction) for destination, fraction in _wanted(http) if fraction.numerator]


def _wanted(http: Any) -> Iterator[tuple[Any, Any]]:
    for mirror in http.mirrors:
        yield mirror.destination, share(mirror.percentage, 100)
    if http.mirror is not None:
        yield http.mirror, share(http.mirror_percentage, 100 if http.mirror_percent is None else http.mirror_percent)


def _policy(place: "Place", destination: Any, fraction: Any) -> Any:
    """Copies are for the host that the request is for: Istio has Envoy's `-shadow` left out."""
    fractions = {"default_value": fraction}
    policy = _POLICY(cluster=place.cluster(destination), runtime_fraction=fractions, disable_shadow_host_suffix_append=True)
    policy.trace_sampled.value = False  # a copy is no request of the user's, and would double every trace
    return policy
