"""Gateway, ListenerSet and GatewayClass: listeners that can stand side by side, and TLS that fits their protocols."""

import re
from collections.abc import Iterator, Sequence

from pymesh.address import is_ip

from ...models.gatewayapi.gateway import (
    AllowedRoutes,
    FromNamespaces,
    Gateway,
    GatewayClass,
    GatewayInfrastructure,
    GatewaySpecAddress,
    GatewayTLSConfig,
    LabelOperator,
    LabelSelector,
    Listener,
    ListenerNamespaces,
    ListenerSet,
    ListenerTLSConfig,
    RouteNamespaces,
    TLSModeType,
)
from ...models.gatewayapi.references import ObjectReference
from ...tree import Path
from .. import common, words
from ..finding import Finding, Findings, below, verdict
from . import names
from .references import hostname, limit

_MOST_LISTENERS = 64
_MOST_ADDRESSES = 16
_MOST_KINDS = 8
_MOST_CERTIFICATES = 64
_MOST_AUTHORITIES = 8
_PLAIN = ("HTTP", "TCP", "UDP")
_NAMELESS = ("TCP", "UDP")
_PROTOCOL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?|[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]+")
_ADDRESS = re.compile(
    r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$"
)
"""As the schema has it: what it means to be the whole is looked for in any part."""
_LONGEST_NAME = 253
_LONGEST_PROTOCOL = 255
_LONGEST_DESCRIPTION = 64
_MOST_WISHES = 8
_MOST_OPTIONS = 16
_CONTROLLER = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def check(spec: Gateway, _namespace: str) -> Findings:
    """Everything wrong with one Gateway."""
    yield from verdict("gateway_class_name", words.object_name(spec.gateway_class_name))
    yield from _listeners(spec.listeners)
    yield from below("allowed_listeners", _namespaces(spec.allowed_listeners.namespaces)) if spec.allowed_listeners else ()
    yield from limit("addresses", spec.addresses, _MOST_ADDRESSES)
    for index, address in enumerate(spec.addresses):
        yield from below(("addresses", index), _address(address))
        if address.value and address in spec.addresses[:index]:
            yield Finding(("addresses", index), f'the address "{address.value}" is listed twice')
    yield from below("infrastructure", _infrastructure(spec.infrastructure)) if spec.infrastructure else ()
    yield from below("tls", _whole_tls(spec.tls)) if spec.tls else ()


def check_set(spec: ListenerSet, _namespace: str) -> Findings:
    """Everything wrong with one ListenerSet."""
    yield from verdict(("parent_ref", "name"), words.object_name(spec.parent_ref.name))
    yield from _listeners(spec.listeners)


def check_class(spec: GatewayClass, _namespace: str) -> Findings:
    """Everything wrong with one GatewayClass."""
    if not _CONTROLLER.fullmatch(spec.controller_name):
        yield Finding(("controller_name",), f'"{spec.controller_name}" is not of the form domain/path')
    if len(spec.controller_name) > _LONGEST_NAME:
        yield Finding(("controller_name",), f"has at most {_LONGEST_NAME} characters")
    if len(spec.description or "") > _LONGEST_DESCRIPTION:
        yield Finding(("description",), f"has at most {_LONGEST_DESCRIPTION} characters")


def _infrastructure(wishes: GatewayInfrastructure) -> Findings:
    for key, value in wishes.labels.items():
        yield from verdict(("labels", key), words.label_value(value))
    for name in ("labels", "annotations"):
        yield from below(name, names.annotations(getattr(wishes, name), _MOST_WISHES))


def _listeners(listeners: Sequence[Listener]) -> Findings:
    yield from limit("listeners", listeners, _MOST_LISTENERS, least=1)
    for index, listener in enumerate(listeners):
        yield from below(("listeners", index), _listener(listener))
        yield from below(("listeners", index), _beside(listener, listeners[:index]))


def _listener(listener: Listener) -> Findings:
    yield from verdict("name", words.object_name(listener.name))
    if listener.hostname is not None:
        yield from verdict("hostname", hostname(listener.hostname))
        if listener.protocol in _NAMELESS:
            yield Finding(("hostname",), f"a listener of protocol {listener.protocol} has no host name")
    if not _PROTOCOL.fullmatch(listener.protocol) or len(listener.protocol) > _LONGEST_PROTOCOL:
        yield Finding(("protocol",), f'"{listener.protocol}" is not a protocol')
    if listener.tls is not None and listener.protocol in _PLAIN:
        yield Finding(("tls",), f"a listener of protocol {listener.protocol} has no TLS")
    elif listener.tls is not None:
        yield from below("tls", _tls(listener.tls, listener.protocol))
    elif listener.protocol == "TLS":
        yield Finding((), "a listener of protocol TLS needs tls, which says whether TLS ends here")
    yield from below("allowed_routes", _allowed(listener.allowed_routes))


def _beside(listener: Listener, others: Sequence[Listener]) -> Findings:
    if any(other.name == listener.name for other in others):
        yield Finding(("name",), f'the name "{listener.name}" is used twice')
    taken = (listener.port, listener.protocol, listener.hostname)
    same = next((other for other in others if (other.port, other.protocol, other.hostname) == taken), None)
    if same is not None:
        yield Finding((), f'has port, protocol and host name of the listener "{same.name}"')


def _tls(tls: ListenerTLSConfig, protocol: str) -> Findings:
    if protocol == "HTTPS" and tls.mode is not TLSModeType.TERMINATE:
        yield Finding(("mode",), "a listener of protocol HTTPS ends TLS: its mode is Terminate")
    if tls.mode is TLSModeType.TERMINATE and not tls.certificate_refs and not tls.options:
        yield Finding((), "a listener that ends TLS needs certificateRefs or options")
    yield from below("options", names.annotations(tls.options, _MOST_OPTIONS))
    yield from limit("certificate_refs", tls.certificate_refs, _MOST_CERTIFICATES)
    for index, reference in enumerate(tls.certificate_refs):
        yield from verdict(("certificate_refs", index, "name"), words.object_name(reference.name))


def _allowed(allowed: AllowedRoutes) -> Findings:
    yield from limit("kinds", allowed.kinds, _MOST_KINDS)
    yield from _namespaces(allowed.namespaces)


def _namespaces(namespaces: RouteNamespaces | ListenerNamespaces) -> Findings:
    if namespaces.from_ is FromNamespaces.SELECTOR and namespaces.selector is None:
        yield Finding(("namespaces",), '"from: Selector" needs "selector"')
    elif namespaces.selector is not None:
        yield from below(("namespaces", "selector"), _selector(namespaces.selector))


def _selector(selector: LabelSelector) -> Findings:
    yield from below("match_labels", common.labels(selector.match_labels))
    for index, one in enumerate(selector.match_expressions):
        yield from verdict(("match_expressions", index, "key"), words.label_key(one.key))
        lists = one.operator in (LabelOperator.IN, LabelOperator.NOT_IN)
        if lists != bool(one.values):
            needs = "needs values" if lists else "has no values"
            yield Finding(("match_expressions", index), f"the operator {one.operator.value} {needs}")


def _address(address: GatewaySpecAddress) -> Findings:
    if not _ADDRESS.search(address.type) or len(address.type) > _LONGEST_NAME:
        yield Finding(("type",), f'"{address.type}" is neither Hostname nor IPAddress, nor of the form domain/path')
    if address.type == "Hostname" and address.value:
        yield from verdict("value", hostname(address.value))
    elif address.type == "IPAddress" and address.value and not is_ip(address.value):
        yield Finding(("value",), f'"{address.value}" is not an IP address')
    if len(address.value) > _LONGEST_NAME:
        yield Finding(("value",), f"has at most {_LONGEST_NAME} characters")


def _whole_tls(tls: GatewayTLSConfig) -> Findings:
    ports = [one.port for one in tls.frontend.per_port] if tls.frontend else []
    for index, port in enumerate(ports):
        if port in ports[:index]:
            yield Finding(("frontend", "per_port", index, "port"), f"the port {port} is listed twice")
    for path, authorities in _authorities(tls):
        yield from below(path, limit("ca_certificate_refs", authorities, _MOST_AUTHORITIES, least=1))


def _authorities(tls: GatewayTLSConfig) -> Iterator[tuple[Path, Sequence[ObjectReference]]]:
    """What client certificates are verified against, of every port and of single ones."""
    if tls.frontend is None:
        return
    if tls.frontend.default.validation:
        yield ("frontend", "default", "validation"), tls.frontend.default.validation.ca_certificate_refs
    for index, one in enumerate(tls.frontend.per_port):
        if one.tls.validation:
            yield ("frontend", "per_port", index, "tls", "validation"), one.tls.validation.ca_certificate_refs
