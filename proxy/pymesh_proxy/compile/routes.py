"""RouteConfigurations: virtual hosts and their routes."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from ..route.hosts import HostMap
from ..route.retry_policy import RetryPolicy
from ..route.rewrite import Location, scheme_of
from ..route.table import DirectReply, Forward, Match, Redirect, Route, RouteTable
from . import route_actions
from .fields import Reader, compiled
from .headers import FIELDS as HEADER_FIELDS
from .levels import Levels
from .overrides import FIELD as FILTER_FIELD
from .rate_limits import shared_rules
from .retry import retry_policy
from .rewrites import matched_length
from .route_match import route_match, route_requires

Routes = tuple[tuple[Match, Route], ...]

_NO_READER = {"metadata": "nothing reads it"}


def compile_routes(message: Any) -> RouteTable:
    """A RouteConfiguration resource; raises ConfigError with every problem."""
    return compiled(message, route_table)


def route_table(reader: Reader) -> RouteTable:
    """A RouteConfiguration, also the one inside a connection manager."""
    reader.only(
        "name",
        "virtual_hosts",
        "most_specific_header_mutations_wins",
        "max_direct_response_body_size_bytes",
        "ignore_port_in_host_matching",
        "request_mirror_policies",
        "vhost_header",
        "internal_only_headers",
        FILTER_FIELD,
        *HEADER_FIELDS,
        harmless=_NO_READER,
        at_default={"validate_clusters": False},
    )
    message = reader.message
    levels = Levels(most_specific_wins=message.most_specific_header_mutations_wins).within(reader).mirroring(reader)
    body_limit = reader.wrapped("max_direct_response_body_size_bytes", 4096)
    domains: dict[str, Routes] = {}
    for host in reader.items("virtual_hosts"):
        routes = _virtual_host(host, levels, body_limit)
        for domain in _fresh_domains(host, domains):
            domains[domain] = routes
    hosts = HostMap(domains, ignore_port=message.ignore_port_in_host_matching)
    return RouteTable(
        message.name,
        hosts.finder(),
        source=message,
        host_header=message.vhost_header.lower().encode(),
        internal_only=tuple(name.lower().encode() for name in message.internal_only_headers),
    )


def _fresh_domains(host: Reader, taken: dict[str, Routes]) -> Iterable[str]:
    seen = set(taken)
    for index, domain in enumerate(host.message.domains):
        name = domain.lower()
        if name in seen:
            host.refuse(f"domains[{index}]", f"only unique values for domains are permitted; {domain!r} is claimed already")
        seen.add(name)
        yield name


def _virtual_host(host: Reader, outer: Levels, body_limit: int) -> Routes:
    host.only(
        "name",
        "domains",
        "routes",
        "require_tls",
        "include_request_attempt_count",
        "include_attempt_count_in_response",
        "retry_policy",
        "rate_limits",
        FILTER_FIELD,
        "request_mirror_policies",
        "per_request_buffer_limit_bytes",
        "request_body_buffer_limit",
        *HEADER_FIELDS,
        harmless={**_NO_READER, "virtual_clusters": "they only add statistics"},
    )
    levels = dataclasses.replace(
        outer.within(host).buffering(host).mirroring(host),
        attempt_count_in_request=host.message.include_request_attempt_count,
        attempt_count_in_response=host.message.include_attempt_count_in_response,
        rate_limits=shared_rules(host),
    )
    retry = retry_policy(host.child("retry_policy"))
    return (*_tls_requirement(host), *(_route(item, levels, retry, body_limit) for item in host.items("routes")))


def _tls_requirement(host: Reader) -> Routes:
    """`require_tls`: a first route that sends what did not come over TLS to https."""
    match host.choice("require_tls"):
        case "ALL":
            return ((lambda head, random: scheme_of(head) != b"https", _TO_HTTPS),)
        case "EXTERNAL_ONLY":
            return ((lambda head, random: scheme_of(head) != b"https" and head.index.get(b"x-envoy-internal") != b"true", _TO_HTTPS),)
    return ()


_TO_HTTPS = Route(name="", action=Redirect(status=301, location=Location(scheme=b"https")))


def _route(item: Reader, outer: Levels, retry: RetryPolicy | None, body_limit: int) -> tuple[Match, Route]:
    item.only(
        "name",
        "match",
        "route",
        "redirect",
        "direct_response",
        "metadata",
        FILTER_FIELD,
        "per_request_buffer_limit_bytes",
        "request_body_buffer_limit",
        *HEADER_FIELDS,
        harmless={
            "decorator": "it names spans, and there is no tracing",
            "tracing": "there is no tracing",
            "stat_prefix": "it only adds statistics",
        },
    )
    levels = outer.within(item).buffering(item)
    criteria = Reader(item.message.match, item.at("match"), item.problems)
    action = _action(item, levels, retry, body_limit)
    composed = route_actions.brings_edits(item.message.route.weighted_clusters)
    route = Route(
        name=item.message.name,
        action=action,
        edit_request=None if composed else levels.request_edit(),
        edit_response=None if composed else levels.response_edit(),
        metadata=item.message.metadata if item.message.HasField("metadata") else None,
        overrides=levels.overrides(),
        requires=route_requires(criteria),
    )
    return route_match(criteria), route


def _action(item: Reader, levels: Levels, retry: RetryPolicy | None, limit: int) -> Forward | Redirect | DirectReply:
    match item.which("action"):
        case "route":
            return route_actions.forward(Reader(item.message.route, item.at("route"), item.problems), item.message.match, levels, retry)
        case "redirect":
            config = Reader(item.message.redirect, item.at("redirect"), item.problems)
            return route_actions.redirect(config, matched_length(item.message.match))
        case "direct_response":
            return route_actions.direct_reply(Reader(item.message.direct_response, item.at("direct_response"), item.problems), limit)
    return DirectReply(status=500)
