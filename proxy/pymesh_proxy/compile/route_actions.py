"""What follows a route's match: forwarding, a redirect, a reply from configuration."""

from dataclasses import replace
from itertools import accumulate
from typing import Any

from ..http.grpc import TimeoutRule
from ..route import edits, rewrite
from ..route.hashing import HashKey
from ..route.internal_redirect import InternalRedirects
from ..route.retry_policy import RetryPolicy
from ..route.rewrite import PathRewrite
from ..route.table import DirectReply, Edit, Forward, Redirect, Target
from .fields import Reader
from .hash_policies import route_hash, weights_draw
from .headers import FIELDS as HEADER_FIELDS
from .levels import Levels, adds_request_policy
from .local_reply import body_format
from .overrides import FIELD as FILTER_FIELD
from .rate_limits import rate_limits
from .retry import retry_policy
from .rewrites import FIELDS as REWRITES
from .rewrites import rewrites, substitute
from .sources import data

_HONOURED = (
    "cluster",
    "cluster_header",
    "weighted_clusters",
    "cluster_not_found_response_code",
    "timeout",
    "idle_timeout",
    "retry_policy",
    "max_stream_duration",
    "max_grpc_timeout",
    "grpc_timeout_offset",
    "upgrade_configs",
    "priority",
    "internal_redirect_policy",
    "hash_policy",
    "request_mirror_policies",
    "rate_limits",
    "include_vh_rate_limits",
)
_MISSING = {"SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500}
_FOLLOWED = frozenset((301, 302, 303, 307, 308))
_REDIRECTS = {"MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308}


def forward(reader: Reader, criteria: Any, levels: Levels, host_retry: RetryPolicy | None) -> Forward:
    """A RouteAction; `criteria` is the RouteMatch before it."""
    reader.only(*_HONOURED, *REWRITES, harmless={"early_data_policy": "no early data is taken"})
    message = reader.message
    targets = _targets(reader, levels)
    made = Forward(
        targets=targets,
        total_weight=targets[-1][0],
        cluster_missing_status=_MISSING.get(reader.choice("cluster_not_found_response_code"), 503),
        timeout=0.0 if reader.has("max_stream_duration") else reader.seconds("timeout", 15.0),  # the newer field replaces the older
        idle_timeout=reader.seconds("idle_timeout", 0.0) if reader.has("idle_timeout") else None,
        max_stream_duration=_stream_duration(reader),
        grpc_timeout=_grpc_timeout(reader, "max_grpc_timeout", "grpc_timeout_offset"),
        grpc_duration=_grpc_timeout(reader.child("max_stream_duration"), "grpc_timeout_header_max", "grpc_timeout_header_offset"),
        retry=retry_policy(reader.child("retry_policy")) if reader.has("retry_policy") else host_retry,
        rewrite=rewrites(reader, criteria),
        auto_host=reader.wrapped("auto_host_rewrite", False),
        forwarded_host=message.append_x_forwarded_host,
        draws=_draws(reader),
        hashing=route_hash(reader),
        upgrades=_upgrades(reader),
        terminates_connect=_terminates_connect(reader),
        terminates_post=any(entry.connect_config.allow_post for entry in message.upgrade_configs),
        attempt_count_in_request=levels.attempt_count_in_request,
        attempt_count_in_response=levels.attempt_count_in_response,
        internal_redirects=_internal_redirects(reader.child("internal_redirect_policy")),
        high_priority=reader.choice("priority") == "HIGH",
        asks=levels.asks or _entries_ask(message.weighted_clusters),
        body_limit=levels.body_limit,
        body_cap=levels.body_cap,
        rate_limits=rate_limits(reader, levels.rate_limits),
    )
    mirrors = levels.mirroring(reader).mirrors
    return replace(made, mirrors=tuple(policy.beside(made) for policy in mirrors)) if mirrors else made


def _internal_redirects(reader: Reader | None) -> InternalRedirects | None:
    if reader is None:
        return None
    reader.only("max_internal_redirects", "redirect_response_codes", "allow_cross_scheme_redirect", "response_headers_to_copy")
    known = frozenset(reader.message.redirect_response_codes) & _FOLLOWED  # others are left out, as in Envoy
    return InternalRedirects(
        maximum=reader.wrapped("max_internal_redirects", 1),
        statuses=known or InternalRedirects().statuses,
        cross_scheme=reader.message.allow_cross_scheme_redirect,
        copied=tuple(name.lower().encode() for name in reader.message.response_headers_to_copy),
    )


def _entries_ask(weighted: Any) -> bool:
    return any(adds_request_policy(entry) for entry in weighted.clusters)


def _targets(reader: Reader, levels: Levels) -> tuple[tuple[int, Target], ...]:
    if reader.which("cluster_specifier") != "weighted_clusters":
        return ((1, Target(cluster=reader.message.cluster, cluster_header=reader.message.cluster_header.lower().encode())),)
    weighted = Reader(reader.message.weighted_clusters, reader.at("weighted_clusters"), reader.problems)
    weighted.only(
        "clusters",
        "header_name",
        "use_hash_policy",
        harmless={
            "runtime_key_prefix": "there is no runtime that could override the weights",
            "total_weight": "the weights' own sum counts, as in Envoy",
        },
    )
    entries = weighted.items("clusters")
    uppers = list(accumulate(entry.wrapped("weight", 0) for entry in entries))
    total = uppers[-1] if uppers else 0
    if not 0 < total < 2**32:
        weighted.refuse("clusters", f"the sum of the weights must be 1 to 2^32-1, not {total}")
    composed = brings_edits(weighted.message)
    targets = [_target(entry, levels.within(entry), composed) for entry in entries]
    return tuple(zip(uppers, targets, strict=True)) or ((1, Target(cluster="")),)


def _draws(reader: Reader) -> HashKey | None:
    weighted = reader.child("weighted_clusters")
    return weights_draw(reader, weighted) if weighted is not None else None


def brings_edits(weighted: Any) -> bool:
    """Whether an entry of a WeightedCluster changes the request or answer; then every target's edit holds those of all levels."""
    return any(entry.host_rewrite_literal or any(len(getattr(entry, name)) for name in HEADER_FIELDS) for entry in weighted.clusters)


def _target(entry: Reader, levels: Levels, composed: bool) -> Target:
    entry.only("name", "cluster_header", "weight", "host_rewrite_literal", FILTER_FIELD, *HEADER_FIELDS)
    message = entry.message
    if bool(message.name) == bool(message.cluster_header):
        entry.refuse("name", "exactly one of name and cluster_header is needed")
    target = Target(
        cluster=message.name,
        cluster_header=message.cluster_header.lower().encode(),
        overrides=levels.overrides() if levels.filters[0] else None,
    )
    if not composed:
        return target
    edit = edits.chain(levels.request_edit(), _entry_host(entry))
    return replace(target, edit_request=edit, edit_response=levels.response_edit())


def _entry_host(entry: Reader) -> Edit | None:
    """The host of a weighted entry; the old one is not kept, and what the route makes of the host comes after it, as in Envoy."""
    host = entry.message.host_rewrite_literal.encode()
    return (lambda exchange: rewrite.set_host(exchange.head, host)) if host else None


def _stream_duration(reader: Reader) -> float | None:
    """The route's limit of a whole stream; None leaves the manager's."""
    config = reader.child("max_stream_duration")
    if config is None:
        return None
    config.only("max_stream_duration", "grpc_timeout_header_max", "grpc_timeout_header_offset")
    return config.seconds("max_stream_duration", 0.0) if config.has("max_stream_duration") else None


def _grpc_timeout(reader: Reader | None, maximum: str, offset: str) -> TimeoutRule | None:
    """`grpc-timeout` counts where its maximum is set, be it to 0 for none."""
    if reader is None or not reader.has(maximum):
        return None
    return TimeoutRule(reader.seconds(maximum, 0.0), reader.seconds(offset, 0.0))


def _upgrades(reader: Reader) -> dict[bytes, bool]:
    enabled: dict[bytes, bool] = {}
    for entry in reader.items("upgrade_configs"):
        entry.only("upgrade_type", "enabled", "connect_config")
        kind = entry.message.upgrade_type.lower().encode()
        if kind in enabled:
            entry.refuse("upgrade_type", f"duplicate upgrade {entry.message.upgrade_type!r}")
        enabled[kind] = entry.wrapped("enabled", True)
    return enabled


def _terminates_connect(reader: Reader) -> bool:
    """Whether the route's upgrade of type CONNECT says that tunnels end here."""
    found = False
    for entry in reader.items("upgrade_configs"):
        config = entry.child("connect_config")
        if config is None:
            continue
        config.only("allow_post")
        found = True
        if entry.message.upgrade_type.upper() != "CONNECT":
            entry.refuse("connect_config", f"it is for CONNECT, not {entry.message.upgrade_type!r}")
    return found


def redirect(reader: Reader, matched: int | None) -> Redirect:
    """A RedirectAction."""
    reader.only(
        "https_redirect",
        "scheme_redirect",
        "host_redirect",
        "port_redirect",
        "path_redirect",
        "prefix_rewrite",
        "regex_rewrite",
        "response_code",
        "strip_query",
    )
    message = reader.message
    location = rewrite.Location(
        scheme=b"https" if message.https_redirect else message.scheme_redirect.encode(),
        host=message.host_redirect.encode(),
        port=message.port_redirect,
        path=_redirect_path(reader, matched),
        strip_query=message.strip_query and "?" not in message.path_redirect,
    )
    return Redirect(status=_REDIRECTS.get(reader.choice("response_code"), 301), location=location)


def _redirect_path(reader: Reader, matched: int | None) -> PathRewrite | None:
    match reader.which("path_rewrite_specifier"):
        case "path_redirect":
            return rewrite.replace_path(reader.message.path_redirect)
        case "prefix_rewrite":
            return rewrite.replace_prefix(matched, reader.message.prefix_rewrite)
        case "regex_rewrite" as name:
            return substitute(Reader(reader.message.regex_rewrite, reader.at(name), reader.problems))
    return None


def direct_reply(reader: Reader, limit: int) -> DirectReply:
    """A DirectResponseAction whose body is at most `limit` bytes."""
    reader.only("status", "body", "body_format")
    body = data(reader.child("body"))
    if len(body) > limit:
        reader.refuse("body", f"{len(body)} bytes are more than max_direct_response_body_size_bytes, {limit}")
    return DirectReply(status=reader.message.status, body=body, format=body_format(reader, "body_format"))
