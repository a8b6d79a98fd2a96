"""AccessLogFilters: of access logs, and of the mappers of `local_reply_config`."""

from collections.abc import Callable

from ..observe import log_filters
from ..observe.log_filters import Test
from ..observe.operators import FLAGS_LONG
from .fields import Reader
from .fractions import percentage
from .route_match import header


def log_filter(reader: Reader) -> Test:
    """An AccessLogFilter."""
    which = reader.which("filter_specifier")
    reader.only(*_BUILDERS)
    build = _BUILDERS.get(which)
    inner = reader.child(which) if which else None
    if build is None or inner is None:
        return log_filters.constantly(True)
    return build(inner)


def _status(reader: Reader) -> Test:
    return log_filters.status(*_comparison(reader))


def _duration(reader: Reader) -> Test:
    return log_filters.duration(*_comparison(reader))


def _comparison(reader: Reader) -> tuple[Callable[[int, int], bool], int]:
    reader.only("comparison")
    comparison = Reader(reader.message.comparison, reader.at("comparison"), reader.problems)
    comparison.only("op", "value")
    value = Reader(comparison.message.value, comparison.at("value"), comparison.problems)
    value.only("default_value", harmless={"runtime_key": "there is no runtime that could override the default"})
    return log_filters.COMPARISONS[comparison.choice("op") or "EQ"], value.message.default_value


def _all(reader: Reader) -> Test:
    reader.only("filters")
    return log_filters.every([log_filter(item) for item in reader.items("filters")])


def _any(reader: Reader) -> Test:
    reader.only("filters")
    return log_filters.some([log_filter(item) for item in reader.items("filters")])


def _header(reader: Reader) -> Test:
    reader.only("header")
    return log_filters.header(header(Reader(reader.message.header, reader.at("header"), reader.problems)))


def _flags(reader: Reader) -> Test:
    reader.only("flags")
    for index, flag in enumerate(reader.message.flags):
        if flag not in FLAGS_LONG:
            reader.refuse(f"flags[{index}]", f"{flag!r} is no response flag")
    return log_filters.flags(reader.message.flags)


def _grpc(reader: Reader) -> Test:
    reader.only("statuses", "exclude")
    return log_filters.grpc(frozenset(reader.message.statuses), reader.message.exclude)


def _no_health_checks(reader: Reader) -> Test:
    """No filter here takes requests for health checks."""
    reader.only()
    return log_filters.constantly(True)


def _share(reader: Reader) -> Test:
    """The share of a runtime_filter; its draws are always independent of other decisions."""
    reader.only(
        "percent_sampled",
        "use_independent_randomness",
        harmless={"runtime_key": "there is no runtime that could override the share"},
    )
    return log_filters.share(*percentage(Reader(reader.message.percent_sampled, reader.at("percent_sampled"), reader.problems)))


_BUILDERS: dict[str, Callable[[Reader], Test]] = {
    "status_code_filter": _status,
    "duration_filter": _duration,
    "not_health_check_filter": _no_health_checks,
    "runtime_filter": _share,
    "and_filter": _all,
    "or_filter": _any,
    "header_filter": _header,
    "response_flag_filter": _flags,
    "grpc_status_filter": _grpc,
}
