"""Routes as gRPC clients read them (gRFC A28, A31, A33, A42, A44): less than a proxy does, and not all under the same names.

A field that such a client refuses would cost it the whole route configuration, so that only what it understands is sent.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from pymesh.xds import proto

from . import faults

_ROUTE = proto.route_components
_ACTION = _ROUTE.RouteAction
_HASH = _ACTION.HashPolicy

CHANNEL = "io.grpc.channel_id"
"""The filter state that stands for the channel of a call."""

RETRIED = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
"""The conditions of a retry policy that have a meaning for gRPC clients; they retry refused streams without being told."""


_SPLIT = 4
"""Conditions of a route for which an absent header is a case of its own: each doubles the routes. Further ones want the header."""


def reduced(route: Any) -> Iterator[Any]:
    """A proxy's route as a gRPC client's. Redirects and direct responses stay, and fail the calls that match them."""
    for match in _matches(route.match):
        message = _ROUTE.Route(name=route.name, match=match, metadata=route.metadata)
        if faults.FILTER in route.typed_per_filter_config:
            message.typed_per_filter_config[faults.FILTER].CopyFrom(route.typed_per_filter_config[faults.FILTER])
        if route.HasField("route"):
            _action(message.route, route.route)
        elif route.HasField("redirect"):
            message.redirect.CopyFrom(route.redirect)
        else:
            message.direct_response.CopyFrom(route.direct_response)
        yield message


def _matches(match: Any) -> Iterator[Any]:
    """A match, once for each set of absent headers that it admits: here an absent header never equals, and never differs."""
    negated = [index for index, one in enumerate(match.headers) if one.treat_missing_header_as_empty]
    split = negated[:_SPLIT]
    for missing in itertools.product((False, True), repeat=len(split)):
        case = _ROUTE.RouteMatch()
        case.CopyFrom(match)
        if match.path_separated_prefix:  # gRPC clients know no prefix of whole segments
            case.safe_regex.regex = f"{re.escape(match.path_separated_prefix)}(/.*)?"
        for index in negated:
            case.headers[index].ClearField("treat_missing_header_as_empty")
        for index in itertools.compress(split, missing):
            case.headers[index].present_match = True
        yield case


def _action(message: Any, action: Any) -> None:
    if action.HasField("weighted_clusters"):
        shares = action.weighted_clusters.clusters
        message.weighted_clusters.clusters.extend(_ROUTE.WeightedCluster.ClusterWeight(name=one.name, weight=one.weight) for one in shares)
    else:
        message.cluster = action.cluster
    if action.timeout.ToNanoseconds():  # gRPC reads no other limit, and Istio has none by default
        message.max_stream_duration.max_stream_duration.CopyFrom(action.timeout)
    message.hash_policy.extend(_hashes(action.hash_policy))
    _retries(message, action.retry_policy)


def _hashes(policies: Any) -> Iterator[Any]:
    """By header; and by source address, which for a client that has but one means to stay with an endpoint."""
    for policy in policies:
        if policy.HasField("header"):
            yield policy
        elif policy.connection_properties.source_ip:
            yield _HASH(filter_state={"key": CHANNEL})


def _retries(message: Any, policy: Any) -> None:
    conditions = [token for token in policy.retry_on.split(",") if token in RETRIED]
    if not conditions:
        return
    message.retry_policy.retry_on = ",".join(conditions)
    message.retry_policy.num_retries.CopyFrom(policy.num_retries)
    if policy.HasField("retry_back_off"):
        message.retry_policy.retry_back_off.CopyFrom(policy.retry_back_off)
