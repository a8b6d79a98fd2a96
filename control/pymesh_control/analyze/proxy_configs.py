"""How proxies are started: ProxyConfigs, the MeshConfig's `defaultConfig`, and the annotation of pods."""

from collections.abc import Iterator
from typing import Any

from pymesh.api import proxytext

from ..model.unused import STARTED, at_start, unused_by_proxies
from . import rivals
from .rule import Found, rule
from .subject import Subject


@rule(
    "PYM0510", "info", "a setting of a pod's ProxyConfig that does nothing to proxies that run", on_load=True,
    why="The control plane sends what proxies listen with; what they are started with it cannot change. It is told once, at the first pod.",
    fix="Do as the sentence says, unless the pods were made by somebody who has.",
)  # fmt: skip
def pod_settings(subject: Subject) -> Iterator[Found]:
    told = set()
    for resource in subject.of("Pod"):
        settings, _ = proxytext.read(resource.annotations.get(proxytext.ANNOTATION, ""))
        for name, sentence in _of_pod(settings) if settings else ():
            if name not in told:
                told.add(name)
                where = ("metadata", "annotations", proxytext.ANNOTATION)
                yield Found(resource, where, f"{proxytext.ANNOTATION}: {name} {sentence}", of_object=True)


def _of_pod(settings: Any) -> Iterator[tuple[str, str]]:
    yield from ((name, f"has no effect here: {reason}") for name, reason in unused_by_proxies(settings))
    yield from ((name, STARTED) for name in at_start(settings))


@rule(
    "PYM0511", "info", "a setting that counts when a proxy is started", on_load=True,
    why="The control plane cannot change what a proxy that runs was started with.",
    fix="Start proxies with the PROXY_CONFIG that `pymesh proxy-settings` prints, and again after a change; `pymesh up` does at its start.",
)  # fmt: skip
def start_settings(subject: Subject) -> Iterator[Found]:
    for resource in list(subject.of("ConfigMap"))[:1]:
        for name in at_start(resource.spec.default_config):
            yield Found(resource, ("defaultConfig", name), f"defaultConfig.{name} {STARTED}")
    for resource in subject.of("ProxyConfig"):
        yield Found(resource, (), STARTED)


@rule(
    "PYM0512", "warning", "a ProxyConfig's image", on_load=True,
    why="Nothing here makes pods.",
    fix="Choose the image where the proxy's container is made.",
)  # fmt: skip
def proxy_image(subject: Subject) -> Iterator[Found]:
    for resource, path, _ in subject.each("ProxyConfig", "image.imageType"):
        yield Found(resource, path, "image.imageType has no effect here: nothing here makes pods")


@rule(
    "PYM0513", "warning", "a ProxyConfig that another one stands over", on_load=True,
    why="Of several for all proxies of a namespace, or for the same labels, the first counts alone; they are not joined.",
    fix="Join them, or give them selectors that exclude one another.",
)  # fmt: skip
def same_proxies(subject: Subject) -> Iterator[Found]:
    for one, first in rivals.for_all(subject.of("ProxyConfig"), rivals.match_labels):
        yield Found(one, (), f"ProxyConfig {first.name} is the one for all proxies of namespace {one.namespace} already")
    for one, first in rivals.for_some(subject.of("ProxyConfig"), rivals.match_labels):
        yield Found(one, ("selector",), f"ProxyConfig {first.name} selects the same proxies already")


RULES = (pod_settings, start_settings, proxy_image, same_proxies)
