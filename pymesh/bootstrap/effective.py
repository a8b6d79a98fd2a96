"""What a proxy is to be started with: the MeshConfig's `defaultConfig`, ProxyConfigs and the pod's annotation, by Istio's precedence.

Istio's injector writes it into a pod's PROXY_CONFIG; here whoever starts a proxy does. The lowest comes first: the mesh's
`defaultConfig`, the ProxyConfig of the root namespace, that of the proxy's own, the annotation, the ProxyConfig that selects the proxy's
labels. Of several that stand on one level the first counts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..api import Resource, proxytext
from ..api.models.proxysettings import ProxySettings
from .proxy_config import GENERATED, ProxyConfig

KIND = "ProxyConfig"
_ROOT_NAMESPACE = "istio-system"
_TAKEN = frozenset(ProxyConfig.model_fields)


class ProxyConfigs:
    """The ProxyConfigs of a mesh, over its `defaultConfig`."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._mesh = ProxySettings()
        self._root = ""
        self._of_namespaces: dict[str, ProxySettings] = {}
        self._selecting: list[tuple[str, Mapping[str, str], ProxySettings]] = []
        for one in resources:
            if one.kind == KIND:
                self._add(one)
            elif one.kind == "ConfigMap" and not self._root:
                self._mesh, self._root = _at_start(one.spec.default_config), one.spec.root_namespace or _ROOT_NAMESPACE

    def of(self, namespace: str, labels: Mapping[str, str], annotation: str = "") -> ProxySettings:
        """What a proxy is started with; an annotation that cannot be read says nothing, as in Istio."""
        levels = (
            self._of_namespaces.get(self._root or _ROOT_NAMESPACE),
            self._of_namespaces.get(namespace),
            proxytext.read(annotation)[0],
            self._selecting_one(namespace, labels),
        )
        result = self._mesh
        for level in filter(None, levels):
            result = _over(level, result)
        return result

    def _selecting_one(self, namespace: str, labels: Mapping[str, str]) -> ProxySettings | None:
        found = (settings for home, wanted, settings in self._selecting if home == namespace and wanted.items() <= labels.items())
        return next(found, None)

    def _add(self, resource: Resource) -> None:
        selector = resource.spec.selector
        if selector and selector.match_labels:
            self._selecting.append((resource.namespace, selector.match_labels, _settings(resource.spec)))
        else:
            self._of_namespaces.setdefault(resource.namespace, _settings(resource.spec))


def proxy_config(settings: ProxySettings) -> dict[str, Any]:
    """The PROXY_CONFIG of a proxy, in Istio's spelling."""
    return settings.model_dump(mode="json", by_alias=True, exclude_unset=True, include=set(_TAKEN))


def untaken(settings: ProxySettings) -> list[str]:
    """What is stated and no PROXY_CONFIG here may hold."""
    stated = settings.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(_TAKEN))
    return sorted(stated)


def _at_start(settings: ProxySettings | None) -> ProxySettings:
    """The mesh's part in a start: not what the control plane sends listeners by, which changes while proxies run."""
    stated = settings.model_fields_set - set(GENERATED) if settings else ()
    return ProxySettings.model_construct(**{name: getattr(settings, name) for name in stated})


def _settings(spec: Any) -> ProxySettings:
    """A ProxyConfig in the words of `defaultConfig`."""
    stated = {"concurrency": spec.concurrency, "proxy_metadata": spec.environment_variables, "image": spec.image}
    return ProxySettings.model_construct(**{name: value for name, value in stated.items() if value not in (None, {})})


def _over(above: ProxySettings, below: ProxySettings) -> ProxySettings:
    """One level over another: fields are replaced whole, variables one by one."""
    said = {name: getattr(above, name) for name in above.model_fields_set}
    if above.proxy_metadata:
        said["proxy_metadata"] = below.proxy_metadata | above.proxy_metadata
    return below.model_copy(update=said)
