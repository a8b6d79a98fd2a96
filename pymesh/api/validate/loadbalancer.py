"""Load balancing: hashes, warm-up and localities."""

from collections.abc import Sequence

from ..models.destinationrule import (
    ConsistentHashLB,
    Distribute,
    Failover,
    HTTPCookie,
    LoadBalancerSettings,
    LocalityLbSetting,
    OutlierDetection,
    SimpleLB,
    Warmup,
    ZoneAwareLbSetting,
)
from .finding import Finding, Findings, below

_MAX_TABLE = 5_000_011  # Envoy's bound on a Maglev table
_TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def check(balancer: LoadBalancerSettings, outliers: OutlierDetection | None) -> Findings:
    """Everything wrong with a `loadBalancer`; `outliers` stands beside it and tells when failover can happen."""
    yield from below("consistent_hash", _hash(balancer.consistent_hash)) if balancer.consistent_hash else ()
    if balancer.simple is SimpleLB.LEAST_CONN:
        yield Finding(("simple",), "LEAST_CONN is deprecated; use LEAST_REQUEST", "warning", "IST0002")
    if balancer.warmup_duration_secs is not None:
        yield Finding(("warmup_duration_secs",), "deprecated; use warmup.duration", "warning", "IST0002")
    yield from below("warmup", _warmup(balancer.warmup)) if balancer.warmup else ()
    if balancer.locality_lb_setting and balancer.zone_aware_lb_setting:
        yield Finding(("zone_aware_lb_setting",), '"localityLbSetting" and "zoneAwareLbSetting" cannot be set together')
    if locality := balancer.locality_lb_setting:
        yield from below("locality_lb_setting", _locality(locality, outliers))
    if zone := balancer.zone_aware_lb_setting:
        yield from below("zone_aware_lb_setting", _zone_aware(zone, outliers))


def _hash(policy: ConsistentHashLB) -> Findings:
    if policy.minimum_ring_size:
        yield Finding(("minimum_ring_size",), "deprecated; use ringHash.minimumRingSize", "warning", "IST0002")
        if policy.ring_hash or policy.maglev:
            yield Finding(("minimum_ring_size",), "cannot be set with ringHash or maglev")
    if policy.maglev and policy.maglev.table_size is not None and not _is_table_size(policy.maglev.table_size):
        yield Finding(("maglev", "table_size"), f"the table size {policy.maglev.table_size} must be a prime below {_MAX_TABLE}")
    yield from below("http_cookie", _cookie(policy.http_cookie)) if policy.http_cookie else ()


def _is_table_size(size: int) -> bool:
    return 2 <= size < _MAX_TABLE and all(size % divisor for divisor in range(2, int(size**0.5) + 1))


def _cookie(cookie: HTTPCookie) -> Findings:
    if not cookie.name:
        yield Finding(("name",), "a cookie must have a name")
    names = [attribute.name for attribute in cookie.attributes]
    for index, name in enumerate(names):
        if not name:
            yield Finding(("attributes", index, "name"), "an attribute must have a name")
        elif name in names[:index]:
            yield Finding(("attributes", index, "name"), f'the attribute "{name}" is set twice')


def _warmup(warmup: Warmup) -> Findings:
    if (warmup.minimum_percent or 0) > 100 or (warmup.minimum_percent or 0) < 0:
        yield Finding(("minimum_percent",), f"the percentage {warmup.minimum_percent:g} must be between 0 and 100")
    if warmup.aggression is not None and warmup.aggression <= 0:
        yield Finding(("aggression",), "must be over 0")


def _locality(setting: LocalityLbSetting, outliers: OutlierDetection | None) -> Findings:
    if setting.distribute and setting.failover:
        yield Finding(("failover",), '"distribute" and "failover" cannot be set together')
    for index, share in enumerate(setting.distribute):
        yield from below(("distribute", index), _shares(share))
    places = [share.from_ or "" for share in setting.distribute]
    for index, place in enumerate(places):
        if any(_within(place, other) or (_within(other, place) and not place.endswith("*")) for other in places[:index]):
            yield Finding(("distribute", index, "from"), f'the locality "{place}" overlaps with an earlier one')
    if setting.failover:
        yield from _no_topology(setting.failover_priority, "cannot be priorities beside failover")
    yield from _failover(setting, outliers)


def _zone_aware(setting: ZoneAwareLbSetting, outliers: OutlierDetection | None) -> Findings:
    yield from _no_topology(setting.failover_priority, "are looked at anyway")
    yield from _failover(setting, outliers)


def _no_topology(priorities: Sequence[str], why: str) -> Findings:
    for index, priority in enumerate(priorities):
        if priority in _TOPOLOGY_LABELS:
            yield Finding(("failover_priority", index), f"region, zone and sub-zone {why}")


def _shares(share: Distribute) -> Findings:
    yield from below("from", _place(share.from_ or ""))
    for place, weight in share.to.items():
        yield from below(("to", place), _place(place))
        if not 1 <= weight <= 100:
            yield Finding(("to", place), f"the weight {weight} must be between 1 and 100")
    if sum(share.to.values()) != 100:
        yield Finding(("to",), f"the weights must sum up to 100, found {sum(share.to.values())}")
    places = list(share.to)
    for index, place in enumerate(places):
        if any(_within(place, other) or _within(other, place) for other in places[:index]):
            yield Finding(("to", place), f'the locality "{place}" overlaps with an earlier one')


def _place(locality: str) -> Findings:
    """`region/zone/subzone`, where `*` may only be the last part."""
    parts = locality.split("/")
    if len(parts) > 3 or not all(parts):
        yield Finding((), f'"{locality}" is not a locality (region/zone/subzone)')
    elif "*" in locality.removesuffix("*"):
        yield Finding((), f'in the locality "{locality}" only the last part can be "*"')


def _within(inner: str, outer: str) -> bool:
    """Whether one locality holds the other: `us/west` holds `us/west/*`, `*` everything."""
    parts = [part for part in outer.split("/") if part != "*"]
    return inner.split("/")[: len(parts)] == parts


def _failover(setting: LocalityLbSetting | ZoneAwareLbSetting, outliers: OutlierDetection | None) -> Findings:
    for name in ("failover", "failover_priority"):
        if getattr(setting, name) and outliers is None:
            yield Finding((name,), "has no effect without outlierDetection, which tells when to fail over", "warning")
    for index, rule in enumerate(setting.failover):
        yield from below(("failover", index), _failover_rule(rule))


def _failover_rule(rule: Failover) -> Findings:
    if rule.from_ == rule.to:
        yield Finding((), "a region cannot fail over to itself")
    for name, region in (("from", rule.from_), ("to", rule.to)):
        if "/" in (region or "") or "*" in (region or ""):
            yield Finding((name,), f'failover is between regions, "{region}" is not one')
