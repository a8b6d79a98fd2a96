"""A VirtualService route's CORS policy, as the cors filter's settings of that route."""

from typing import Any

from pymesh.xds import proto

from .match import string_matcher

FILTER = "envoy.filters.http.cors"

_ALWAYS = proto.base.RuntimeFractionalPercent(default_value={"numerator": 100})


def apply(route: Any, policy: Any) -> None:
    """Put a CorsPolicy on a route."""
    if policy is None:
        return
    message = proto.cors.CorsPolicy(
        allow_origin_string_match=_origins(policy),
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
        filter_enabled=_ALWAYS,
    )
    if policy.max_age is not None:
        message.max_age = str(int(policy.max_age))
    if policy.allow_credentials is not None:
        message.allow_credentials.value = policy.allow_credentials
    if policy.unmatched_preflights is not None and policy.unmatched_preflights.value != "UNSPECIFIED":
        message.forward_not_matching_preflights.value = policy.unmatched_preflights.value == "FORWARD"
    route.typed_per_filter_config[FILTER].CopyFrom(proto.pack(message))


def _origins(policy: Any) -> list[Any]:
    """The origins; the older field counts only where the newer one is empty, as in Istio."""
    if policy.allow_origins:
        return [string_matcher(origin) for origin in policy.allow_origins]
    return [proto.string_matcher.StringMatcher(exact=origin) for origin in policy.allow_origin]
