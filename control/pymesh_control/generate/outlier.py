"""A DestinationRule's outlier detection, as Istio writes it: what is not asked for is off, also where Envoy's default is on."""

from collections.abc import Sequence
from typing import Any

from pymesh.xds import proto

_PREDICATE = proto.common_matcher.MatchPredicate


def detection(wanted: Any) -> Any:
    """The OutlierDetection of a cluster."""
    message = proto.outlier.OutlierDetection()
    message.enforcing_success_rate.value = 0
    _consecutive(message, "consecutive_5xx", wanted.consecutive_5xx_errors)
    _consecutive(message, "consecutive_gateway_failure", _gateway_errors(wanted))
    _times(message, wanted)
    if wanted.max_ejection_percent:
        message.max_ejection_percent.value = wanted.max_ejection_percent
    if wanted.split_external_local_origin_errors:
        _split(message, wanted)
    return message


def _gateway_errors(wanted: Any) -> int | None:
    """The newer field, or the one of the days when there was only this kind of error."""
    count: int | None = wanted.consecutive_gateway_errors
    older: int | None = wanted.consecutive_errors
    return older if count is None else count


def _consecutive(message: Any, name: str, count: int | None) -> None:
    """So many errors in a row; 0 switches the kind off."""
    if count is None:
        return
    getattr(message, name).value = count
    getattr(message, f"enforcing_{name}").value = 100 if count else 0


def _times(message: Any, wanted: Any) -> None:
    if wanted.interval:
        message.interval.CopyFrom(proto.duration(wanted.interval))
    if wanted.base_ejection_time:
        message.base_ejection_time.CopyFrom(proto.duration(wanted.base_ejection_time))


def _split(message: Any, wanted: Any) -> None:
    message.split_external_local_origin_errors = True
    if wanted.consecutive_local_origin_failures:
        message.consecutive_local_origin_failure.value = wanted.consecutive_local_origin_failures
        message.enforcing_consecutive_local_origin_failure.value = 100
    message.enforcing_local_origin_success_rate.value = 0


def error_matcher(codes: Sequence[int]) -> Any:
    """The MatchPredicate for the statuses that are errors, instead of 500 to 599."""
    rules = [_status(code) for code in codes]
    if len(rules) == 1:
        return rules[0]
    return _PREDICATE(or_match=_PREDICATE.MatchSet(rules=rules))


def _status(code: int) -> Any:
    match = proto.route_components.HeaderMatcher(name=":status", string_match={"exact": str(code)})
    return _PREDICATE(http_response_headers_match=proto.common_matcher.HttpHeadersMatch(headers=[match]))


def healthy_share(wanted: Any) -> float:
    """minHealthPercent: below it ejections are ignored, which is a cluster's panic threshold. 0 never ignores them."""
    return float(wanted.min_health_percent or 0) if wanted else 0.0
