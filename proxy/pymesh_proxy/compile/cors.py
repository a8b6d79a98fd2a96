"""Cross-origin policies."""

from typing import TYPE_CHECKING

from ..filters.cors import CorsFilter, CorsPolicy
from ..filters.counts import CorsCounts
from ..filters.fraction import ALWAYS, NEVER
from .fields import Reader
from .fractions import runtime_fraction
from .strings import string_test

if TYPE_CHECKING:
    from .http_filters import Manager


def cors_policy(reader: Reader) -> CorsPolicy:
    """A CorsPolicy of the filter's own kind."""
    reader.only(
        "allow_origin_string_match",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "max_age",
        "allow_credentials",
        "filter_enabled",
        "shadow_enabled",
        "allow_private_network_access",
        "forward_not_matching_preflights",
    )
    message = reader.message
    return CorsPolicy(
        origins=tuple(string_test(item) for item in reader.items("allow_origin_string_match")),
        methods=message.allow_methods.encode(),
        headers=message.allow_headers.encode(),
        exposed=message.expose_headers.encode(),
        max_age=message.max_age.encode(),
        credentials=reader.wrapped("allow_credentials", None),
        private_network=reader.wrapped("allow_private_network_access", None),
        forward_unmatched=reader.wrapped("forward_not_matching_preflights", None),
        enabled=runtime_fraction(reader, "filter_enabled", ALWAYS),
        shadow=runtime_fraction(reader, "shadow_enabled", NEVER),
    )


def cors_filter(reader: Reader, manager: "Manager") -> CorsFilter:
    """The filter of a manager; its policies stand on routes."""
    reader.only()
    return CorsFilter(manager.ctx.services.counts.of(CorsCounts, manager.stat_prefix))
