"""Checks that several kinds share: destinations, selectors, visibility, percentages, gateway names."""

from collections.abc import Sequence

from ..models.virtualservice import Destination, Percent
from ..types import PolicySelector
from . import words
from .finding import Finding, Findings, below, verdict

SELECTS_ALL = "a selector without labels selects every workload of the namespace"


def export_to(values: Sequence[str], namespace: str, *, none_allowed: bool = False) -> Findings:
    """`exportTo`: `.`, `*` or namespaces (and `~` where nobody may be meant); a namespace once, `*` and `~` alone."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        path = ("export_to", index)
        if value == "~" and not none_allowed:
            yield Finding(path, '"~" is only for ServiceEntry')
        elif value not in (".", "*", "~"):
            yield from verdict(path, words.dns_label(value))
        meant = namespace if value == "." else value
        if meant in seen:
            yield Finding(path, f'the namespace "{meant}" is listed twice')
        seen.add(meant)
    for alone in ("*", "~"):
        if alone in values and len(values) > 1:
            yield Finding(("export_to",), f'"{alone}" must be the only entry')


def destination(value: Destination) -> Findings:
    """A host that can be resolved, a subset and a port that can exist."""
    if value.host == "*":
        yield Finding(("host",), 'the destination "*" is no service')
    else:
        yield from verdict("host", words.wildcard_domain(value.host))
    if value.subset:
        yield from verdict("subset", words.dns_label(value.subset))
    if value.port is not None:
        yield from verdict(("port", "number"), words.port(value.port.number or 0))


def port(number: int | None) -> Findings:
    """The port of a condition; 0 is none, as protobuf has it."""
    if number:
        yield from verdict("port", words.port(number))


def weights(values: Sequence[int | None]) -> Findings:
    """No negative weight, and a positive sum wherever there is a choice."""
    for index, weight in enumerate(values):
        if (weight or 0) < 0:
            yield Finding((index, "weight"), f"the weight {weight} is negative")
    if len(values) > 1 and not sum(weight or 0 for weight in values):
        yield Finding((), "the weights of several destinations must not all be 0")


def percentage(value: Percent | None) -> Findings:
    """0, or what Envoy's parts per million can express, up to 100."""
    share = value.value if value and value.value is not None else 0.0
    if share != 0 and not 0.0001 <= share <= 100:
        yield Finding(("value",), f"the percentage {share:g} must be 0 or between 0.0001 and 100")


def labels(values: dict[str, str]) -> Findings:
    """Labels as Kubernetes allows them."""
    for key, value in values.items():
        yield from verdict(key, words.label_key(key))
        yield from verdict(key, words.label_value(value))


def policy_selector(selector: PolicySelector | None) -> Findings:
    """`selector.matchLabels`: keys and values without wildcards, values of at most 63."""
    if selector is None:
        return
    if not selector.match_labels:
        yield Finding((), SELECTS_ALL, "warning")
    yield from below("match_labels", _match_labels(selector.match_labels))


def _match_labels(values: dict[str, str]) -> Findings:
    for key, value in values.items():
        if not key:
            yield Finding((key,), "a label key must not be empty")
        if "*" in key or "*" in value:
            yield Finding((key,), "wildcards are not supported in a selector")


def gateway_name(name: str) -> Findings:
    """`mesh`, `name`, `namespace/name`; the legacy dotted form gets a warning."""
    namespace, slash, short = name.rpartition("/")
    if slash:
        problems = (words.dns_label(namespace), words.dns_label(short))
        yield from verdict((), next((problem for problem in problems if problem), None))
    elif problem := words.fqdn(name):
        yield Finding((), problem)
    elif "." in name:
        yield Finding((), f'"{name}" is the old form of a gateway name; write "namespace/name"', "warning")


def gateway_names(names: Sequence[str]) -> Findings:
    """A list of gateways, at its own path."""
    for index, name in enumerate(names):
        yield from below(("gateways", index), gateway_name(name))
