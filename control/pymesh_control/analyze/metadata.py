"""Istio's annotations and labels that are in the wrong place, misspelt, of the wrong form or without effect."""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator

from pymesh.api import Resource, proxytext
from pymesh.api.kinds import written
from pymesh.api.shape import did_you_mean
from pymesh.bootstrap.environment import is_on

from ..model import distribution
from ..model.authorization import DRY_RUN
from ..model.wellknown import ANNOTATIONS, ANY, Word, without_effect
from ..store import revision
from .rule import Found, rule
from .subject import Subject

_INJECT = "sidecar.istio.io/inject"
_OWN = re.compile(r"([^/]*\.)?istio\.io|kubernetes\.io/ingress\.class")
_INTERNAL = "internal.istio.io/"
_INJECTION = "istio-injection"


@rule(
    "IST0107", "warning", "an annotation of Istio's on an object that it is not for", on_load=True,
    why="Nobody looks for it there.",
    fix="Put it where it belongs; annotations of pods belong into the pod template of a Deployment.",
)  # fmt: skip
def misplaced_annotation(subject: Subject) -> Iterator[Found]:
    for resource, name, word in _known(subject):
        if ANY not in word.kinds and written(resource) not in word.kinds:
            yield _at(resource, "annotations", name, f"{name} is for {', '.join(sorted(word.kinds))}, not for {written(resource)}")


@rule(
    "IST0108", "warning", "an annotation with Istio's prefix that Istio does not have", on_load=True,
    why="It does nothing, and what it was meant to do does not happen.",
    fix="Correct the name.",
)  # fmt: skip
def unknown_annotation(subject: Subject) -> Iterator[Found]:
    for resource in subject.resources:
        for name in resource.annotations:
            is_istios = _OWN.fullmatch(name.partition("/")[0]) or _OWN.fullmatch(name)
            if is_istios and name not in ANNOTATIONS and not name.startswith(_INTERNAL):
                yield _at(resource, "annotations", name, f"Istio has no annotation {name}{did_you_mean(name, list(ANNOTATIONS))}")


@rule(
    "IST0125", "warning", "an annotation of Istio's whose value cannot be used, or not whole", on_load=True,
    why="What it asks for does not happen.",
    fix="Correct the value; what proxies read at their start belongs into their PROXY_CONFIG.",
)  # fmt: skip
def annotation_value(subject: Subject) -> Iterator[Found]:
    for resource, name, word in _known(subject):
        if written(resource) in word.kinds and name in _VALUES:
            for mistake in _VALUES[name](resource.annotations[name]):
                yield _at(resource, "annotations", name, f"{name}: {mistake}")


@rule(
    "IST0135", "info", "an annotation that is deprecated",
    why="Istio will stop to read it.",
    fix="Use what has taken its place: the label sidecar.istio.io/inject, or proxy.istio.io/config.",
)  # fmt: skip
def deprecated_annotation(subject: Subject) -> Iterator[Found]:
    for resource, name, word in _known(subject):
        if word.is_deprecated and not (name == _INJECT and _INJECT in resource.labels):
            yield _at(resource, "annotations", name, f"{name} is deprecated")


@rule(
    "IST0123", "warning", "a Namespace has both of Istio's labels for injection",
    why="`istio-injection` stands over `istio.io/rev`: the revision that is asked for does not inject.",
    fix="Keep one of them.",
)  # fmt: skip
def injection_labels(subject: Subject) -> Iterator[Found]:
    for resource in subject.of("Namespace"):
        if {_INJECTION, revision.LABEL} <= resource.labels.keys():
            yield _at(resource, "labels", revision.LABEL, f"has the labels {_INJECTION} and {revision.LABEL}, of which only one is heeded")


@rule(
    "PYM0507", "warning", "an annotation or label of Istio's that does nothing here", on_load=True,
    why="It is read, and no proxy of this mesh is told of it. It is told once, at the first object that has it.",
    fix="Do as the sentence says, or do not count on it.",
)  # fmt: skip
def unused_metadata(subject: Subject) -> Iterator[Found]:
    yield from _unused(subject, concerns_start=False)


@rule(
    "PYM0508", "info", "an annotation or label for those who start a pod's proxy", on_load=True,
    why="The control plane cannot do what it asks for. It is told once, at the first object that has it.",
    fix="Do as the sentence says, unless the pods were made by somebody who has.",
)  # fmt: skip
def metadata_for_the_start(subject: Subject) -> Iterator[Found]:
    yield from _unused(subject, concerns_start=True)


@rule(
    "PYM0509", "warning", "an AuthorizationPolicy that is only tried out", on_load=True,
    why="It is enforced by nobody, and no proxy of this mesh tells what it would have decided.",
    fix="Take the annotation away to have it enforced.",
)  # fmt: skip
def dry_run(subject: Subject) -> Iterator[Found]:
    for resource in subject.of("AuthorizationPolicy"):
        if is_on(resource.annotations.get(DRY_RUN)):
            yield _at(resource, "annotations", DRY_RUN, f"is tried out only ({DRY_RUN}): nobody enforces it, or logs what it decides")


RULES = (
    misplaced_annotation, unknown_annotation, annotation_value, deprecated_annotation, injection_labels, unused_metadata,
    metadata_for_the_start, dry_run,
)  # fmt: skip


def _known(subject: Subject) -> Iterator[tuple[Resource, str, Word]]:
    """Every annotation that is Istio's, with what there is to know of it."""
    for resource in subject.resources:
        for name in resource.annotations:
            if name in ANNOTATIONS:
                yield resource, name, ANNOTATIONS[name]


def _unused(subject: Subject, *, concerns_start: bool) -> Iterator[Found]:
    """Each name once: a namespace of a thousand pods says one thing."""
    first: dict[tuple[str, str], tuple[Resource, Word]] = {}
    others = Counter[tuple[str, str]]()
    for resource in subject.resources:
        for place, name, word in without_effect(resource):
            if word.concerns_start is concerns_start:
                first.setdefault((place, name), (resource, word))
                others[place, name] += 1
    for (place, name), (resource, word) in first.items():
        more = others[place, name] - 1
        text = f"{place[:-1]} {name} has no effect here: {word.reason}{f' (and on {more} more)' if more else ''}"
        yield _at(resource, place, name, text)


def _at(resource: Resource, place: str, name: str, sentence: str) -> Found:
    return Found(resource, ("metadata", place, name), sentence, of_object=True)


def _proxy_config(text: str) -> Iterator[str]:
    yield from proxytext.read(text)[1]


def _one_of(known: Callable[[str], object], wanted: str) -> Callable[[str], Iterator[str]]:
    def check(text: str) -> Iterator[str]:
        if not known(text):
            yield f"{text!r} is not {wanted}"

    return check


def _each(known: Callable[[str], object], wanted: str) -> Callable[[str], Iterator[str]]:
    """The same of every entry of a list with commas; `*` is everything, and nothing is none."""

    def check(text: str) -> Iterator[str]:
        for entry in text.split(",") if text not in ("", "*") else ():
            if not known(entry.strip()):
                yield f"{entry.strip()!r} is not {wanted}"

    return check


def _is_block(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 65535


_NUMBER = _one_of(re.compile(r"[0-9]{1,9}").fullmatch, "a number")
_PORTS = _each(_is_port, "a port")
_BLOCKS = _each(_is_block, "a CIDR block")
_TRUTH = _one_of({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}.__contains__, "true or false")
_QUANTITY = _one_of(re.compile(r"[0-9]+(\.[0-9]+)?([mkMGTPE]|[KMGTPE]i)?").fullmatch, "a quantity")

_VALUES: dict[str, Callable[[str], Iterator[str]]] = {
    "proxy.istio.io/config": _proxy_config,
    "networking.istio.io/traffic-distribution": _one_of(
        lambda text: distribution.is_known(text.lower()), "PreferClose, PreferSameZone or PreferSameNode"
    ),
    "sidecar.istio.io/interceptionMode": _one_of({"REDIRECT", "TPROXY", "NONE"}.__contains__, "REDIRECT, TPROXY or NONE"),
    "status.sidecar.istio.io/port": _one_of(_is_port, "a port"),
    "prometheus.istio.io/merge-metrics": _TRUTH,
    "traffic.sidecar.istio.io/includeOutboundIPRanges": _BLOCKS,
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": _BLOCKS,
    "traffic.sidecar.istio.io/includeInboundPorts": _PORTS,
    "traffic.sidecar.istio.io/excludeInboundPorts": _PORTS,
    "traffic.sidecar.istio.io/excludeOutboundPorts": _PORTS,
    **{f"readiness.status.sidecar.istio.io/{name}": _NUMBER for name in ("initialDelaySeconds", "periodSeconds", "failureThreshold")},
    **{f"sidecar.istio.io/proxy{name}": _QUANTITY for name in ("CPU", "Memory", "CPULimit", "MemoryLimit")},
}
"""What is wrong with a value, by annotation; those of Istio's AnnotationValidation, and traffic distribution."""
