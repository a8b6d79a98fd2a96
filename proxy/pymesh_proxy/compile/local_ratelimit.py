"""LocalRateLimit, of a manager or of a route."""

from typing import TYPE_CHECKING

from ..filters.descriptors import Entries
from ..filters.fraction import NEVER
from ..filters.local_ratelimit import RESOURCE_EXHAUSTED, Buckets, LocalLimit, LocalRateLimitFilter
from ..filters.token_bucket import TokenBucket
from ..route import edits
from ..route.edits import Addition, Level
from .fields import Reader
from .fractions import runtime_fraction
from .headers import addition
from .rate_limits import host_option, rules

if TYPE_CHECKING:
    from .http_filters import Manager

_FASTEST = 0.05
"""Seconds; Envoy takes no shorter fill_interval."""


def local_ratelimit_filter(reader: Reader, manager: "Manager") -> LocalRateLimitFilter:
    """The filter of a manager; without a bucket it limits on routes only."""
    return LocalRateLimitFilter(_limit(reader), manager.ctx.services)


def local_limit(reader: Reader) -> LocalLimit:
    """A route's limit, which needs a bucket."""
    if not reader.has("token_bucket"):
        reader.refuse("token_bucket", "a route's limit needs a bucket")
    return _limit(reader)


def _limit(reader: Reader) -> LocalLimit:
    reader.only(
        "stat_prefix",
        "status",
        "token_bucket",
        "filter_enabled",
        "filter_enforced",
        "request_headers_to_add_when_not_enforced",
        "response_headers_to_add",
        "descriptors",
        "stage",
        "local_rate_limit_per_downstream_connection",
        "enable_x_ratelimit_headers",
        "vh_rate_limits",
        "always_consume_default_token_bucket",
        "rate_limited_as_resource_exhausted",
        "rate_limits",
    )
    message = reader.message
    by_entries = _descriptors(reader)
    default = _bucket(reader.child("token_bucket"))
    return LocalLimit(
        stat_prefix=message.stat_prefix,
        buckets=Buckets(default, by_entries, takes_both=reader.wrapped("always_consume_default_token_bucket", True)),
        status=limited_status(reader, "status"),
        enabled=runtime_fraction(reader, "filter_enabled", NEVER),
        enforced=runtime_fraction(reader, "filter_enforced", NEVER),
        rules=rules(reader),
        counts_descriptors=bool(by_entries),
        stage=message.stage,
        host_option=host_option(reader),
        per_connection=message.local_rate_limit_per_downstream_connection,
        tells_state=reader.choice("enable_x_ratelimit_headers") == "DRAFT_VERSION_03",
        grpc_status=RESOURCE_EXHAUSTED if message.rate_limited_as_resource_exhausted else -1,
        edit_request=edits.request_edit([added(reader, "request_headers_to_add_when_not_enforced")]),
        edit_response=edits.response_edit([added(reader, "response_headers_to_add")]),
    )


def limited_status(reader: Reader, name: str) -> int:
    """An HttpStatus for limited requests; one that means no error is not taken."""
    code = http_status(reader, name)
    return code if code >= 400 else 429


def http_status(reader: Reader, name: str) -> int:
    """An HttpStatus; 0 where none is set."""
    status = reader.child(name)
    if status is None:
        return 0
    status.only("code")
    return int(status.message.code)


def added(reader: Reader, name: str) -> Level:
    """A field of headers to add."""
    made: list[Addition | None] = [addition(item) for item in reader.items(name)]
    return Level(add=tuple(item for item in made if item is not None))


def _descriptors(reader: Reader) -> dict[Entries, TokenBucket]:
    found: dict[Entries, TokenBucket] = {}
    for item in reader.items("descriptors"):
        item.only("entries", "token_bucket")
        for entry in item.items("entries"):
            entry.only("key", "value")
            if not entry.message.value:
                entry.refuse("value", "one bucket for each value of a key is not supported; name the values")
        entries = tuple((entry.key, entry.value) for entry in item.message.entries)
        if entries in found:
            item.refuse("entries", "there is a bucket for these entries already")
        bucket = _bucket(item.child("token_bucket"))
        if bucket is not None:
            found[entries] = bucket
    return found


def _bucket(reader: Reader | None) -> TokenBucket | None:
    if reader is None:
        return None
    reader.only("max_tokens", "tokens_per_fill", "fill_interval")
    interval = reader.seconds("fill_interval", 0.0)
    if interval < _FASTEST:
        reader.refuse("fill_interval", f"{interval:g} s is less than {_FASTEST:g} s")
        interval = _FASTEST
    return TokenBucket(reader.message.max_tokens, reader.wrapped("tokens_per_fill", 1), interval)
