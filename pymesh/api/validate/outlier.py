"""Outlier detection: percentages, and counts that need the split of error kinds."""

from ..models.destinationrule import OutlierDetection
from .finding import Finding, Findings


def check(outliers: OutlierDetection) -> Findings:
    """Everything wrong with an `outlierDetection`."""
    if outliers.consecutive_errors:
        yield Finding(("consecutive_errors",), "deprecated; use consecutive5xxErrors or consecutiveGatewayErrors", "warning", "IST0002")
    if outliers.consecutive_local_origin_failures and not outliers.split_external_local_origin_errors:
        yield Finding(("consecutive_local_origin_failures",), "needs splitExternalLocalOriginErrors")
    for name in ("max_ejection_percent", "min_health_percent"):
        value = getattr(outliers, name)
        if value is not None and not 0 <= value <= 100:
            yield Finding((name,), f"the percentage {value} must be between 0 and 100")
    for index, code in enumerate(outliers.outlier_detection_http_error_codes):
        if not 100 <= code <= 599:
            yield Finding(("outlier_detection_http_error_codes", index), f"the status {code} is not between 100 and 599")
