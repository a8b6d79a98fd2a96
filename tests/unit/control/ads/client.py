"""A small world to subscribe to, and clients that keep both forms of the protocol as Envoy does."""

from dataclasses import dataclass, field

from pymesh.xds import proto, types
from pymesh_control.ads.delta import DeltaSession
from pymesh_control.ads.sotw import SotwSession
from pymesh_control.built import Built
from pymesh_control.metrics import Metrics


def thing(type_url, name, version):
    """A resource whose bytes say name and version; the sessions never look inside."""
    packed = proto.pack(types.MESSAGES[type_url]())
    packed.value = f"{name}={version}".encode()
    return Built(packed, version)


def world(**content):
    """`world(cds={"a": "1"}, eds=...)`: resources by short type name, each name with its content version."""
    by_url = {url: content.get(short, {}) for url, short in types.SHORT.items()}

    def resources(type_url, names):
        held = by_url[type_url]
        return {name: thing(type_url, name, held[name]) for name in held if names is None or name in names}

    return resources


def sotw(resources):
    return Parsing(SotwSession(resources, Metrics()), proto.discovery.DiscoveryResponse)


def delta(resources):
    return Parsing(DeltaSession(resources, Metrics()), proto.discovery.DeltaDiscoveryResponse)


class Parsing:
    """A session whose responses have been on the wire."""

    def __init__(self, session, form):
        self._session = session
        self._form = form

    def __getattr__(self, name):
        return getattr(self._session, name)

    def request(self, request):
        return self._parsed(self._session.request(request))

    def push(self, resources):
        return self._parsed(self._session.push(resources))

    def _parsed(self, responses):
        return [self._form.FromString(response.serialized()) for response in responses]


def ask(type_url, *names, nonce="", error=None, version=""):
    request = proto.discovery.DiscoveryRequest(type_url=type_url, resource_names=names, response_nonce=nonce, version_info=version)
    if error is not None:
        request.error_detail.message = error
    return request


def ask_delta(type_url, *names, drop=(), nonce="", error=None, held=None):
    request = proto.discovery.DeltaDiscoveryRequest(
        type_url=type_url,
        resource_names_subscribe=names,
        resource_names_unsubscribe=drop,
        response_nonce=nonce,
        initial_resource_versions=held or {},
    )
    if error is not None:
        request.error_detail.message = error
    return request


def versions_in(response):
    """The resources a response of either form carries: content version by name."""
    if isinstance(response, proto.discovery.DeltaDiscoveryResponse):
        return {resource.name: resource.version for resource in response.resources}
    return dict(resource.value.decode().split("=") for resource in response.resources)


def told(responses):
    """A push in short: `["cds a b", "eds -c"]`, a minus before what is removed."""
    lines = []
    for response in responses:
        removed = [f"-{name}" for name in getattr(response, "removed_resources", ())]
        lines.append(" ".join([types.SHORT[response.type_url], *sorted(versions_in(response)), *removed]))
    return lines


@dataclass
class DeltaClient:
    """What a delta client holds: for every type, content version by name."""

    held: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, response):
        held = self.held.setdefault(response.type_url, {})
        held.update(versions_in(response))
        for name in response.removed_resources:
            held.pop(name, None)
        return ask_delta(response.type_url, nonce=response.nonce)
