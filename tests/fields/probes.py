"""Messages that lead the compilers everywhere they can go.

They are not written down but grown: from the five resources, empty, on through every field that holds a message and every extension
that is registered. A probe that makes a compiler say something new is grown further; others are dropped. So a field or an extension
that is honoured tomorrow is found without anybody naming it here.
"""

import dataclasses
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymesh.xds import proto
from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.context import Context
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.compile.secrets import compile_secret
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.http.route_slot import RouteSlot

from .declared import WHOLE, Declared, message_in, recording

_ANY = "google.protobuf.Any"
_TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_TERMINAL = (".HttpConnectionManager", ".TcpProxy")
"""What a filter chain ends in."""
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


@dataclass(frozen=True)
class Step:
    """From a message into one of its fields; `extension` is the type put into an `Any` there."""

    field: str
    extension: str = ""


Path = tuple[Step, ...]


def declared() -> Declared:
    """What is said of every field of every message that any resource can hold."""
    found = Declared()
    for kind, compile_it in _compilers().items():
        _grow(kind, compile_it, found)
    return found


def _compilers() -> dict[Any, Callable[[Any], Any]]:
    ctx = context()
    return {
        proto.cluster.Cluster: compile_cluster,
        proto.endpoint.ClusterLoadAssignment: compile_assignment,
        proto.listener.Listener: lambda message: compile_listener(message, ctx),
        proto.route.RouteConfiguration: compile_routes,
        proto.secret.Secret: compile_secret,
    }


class _Anything:
    """A filter, an access log or metrics that were asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def context() -> Context:
    """The process's side of compilation, which gives whatever it is asked for."""
    known: dict[str, Any] = {"route_slot": RouteSlot, "http_stats": lambda prefix: HttpStats(prefix=prefix)}
    missing = dataclasses.MISSING
    asked = [each.name for each in dataclasses.fields(Context) if each.default is missing and each.default_factory is missing]
    return Context(**{name: known.get(name, lambda *_, **__: _Anything()) for name in asked})


def _grow(kind: Any, compile_it: Callable[[Any], Any], found: Declared) -> None:
    """Breadth first, so that what several fields hold is probed where it is nearest."""
    waiting: deque[tuple[Path, int]] = deque([((), 0)])
    grown: set[tuple[str, ...]] = set()
    while waiting:
        path, unread = waiting.popleft()
        said = _try(compile_it, _build(kind, path))
        found.add(said)
        end = _type_at(kind.DESCRIPTOR, path)
        unread = 0 if end.full_name in said.by_kind and end.full_name not in _above(kind.DESCRIPTOR, path) else unread + 1
        place = _place(kind.DESCRIPTOR, path, read=not unread)
        if unread > _BLIND or (path and path[-1].extension and unread) or place in grown:
            continue
        grown.add(place)
        waiting.extend(((*path, step), unread) for step in _steps(end, found))


def _above(root: Any, path: Path) -> set[str]:
    """The types of the messages that an extension at a probe's end stands in: what is said of those is not said of it."""
    return {_type_at(root, path[:length]).full_name for length in range(len(path))} if path and path[-1].extension else set()


_BLIND = 2
"""How many messages in a row a compiler may pass without saying anything of them."""


def _try(compile_it: Callable[[Any], Any], message: Any) -> Declared:
    said = Declared()
    with recording(said), suppress(ConfigError):  # probes are incomplete; what was declared on the way is what they are for
        compile_it(message)
    return said


def _place(root: Any, path: Path, *, read: bool) -> tuple[str, ...]:
    """What a probe's end is known by: where it stands, as far as that can matter. The same message may be read in two ways in two
    places; what was passed over in one may be read in another."""
    end = _type_at(root, path).full_name
    if read and path:
        return end, path[-1].field, _type_at(root, path[:-1]).full_name
    return end, *(step.field + step.extension for step in path)


def _steps(descriptor: Any, found: Declared) -> Iterator[Step]:
    """Into every message of a message, but for fields that are known to be refused whatever they hold."""
    for field in descriptor.fields:
        if found.refuses(descriptor.full_name, field.name) or descriptor.full_name in WHOLE:
            continue
        inner = message_in(field)
        if inner is None or (inner.full_name.startswith("google.protobuf.") and inner.full_name != _ANY):
            continue
        if inner.full_name == _ANY:
            yield from (Step(field.name, name) for name in _extensions())
        else:
            yield Step(field.name)


def _extensions() -> Iterable[str]:
    """The full name of every message that could be in an `Any`: those that stand at the top of a loaded extension's file."""
    return sorted(
        message.full_name
        for name, module in list(sys.modules.items())
        if name.endswith("_pb2") and name.startswith("envoy.extensions.")
        for message in module.DESCRIPTOR.message_types_by_name.values()
    )


def _type_at(descriptor: Any, path: Path) -> Any:
    for step in path:
        inner = message_in(descriptor.fields_by_name[step.field])
        descriptor = proto.unpack(_any(step.extension)).DESCRIPTOR if step.extension else inner
    return descriptor


def _any(name: str, value: bytes = b"") -> Any:
    packed = proto.pack(proto.duration(0))
    packed.type_url, packed.value = f"type.googleapis.com/{name}", value
    return packed


def _build(kind: Any, path: Path) -> Any:
    """An otherwise empty message with the end of a path in it."""
    message = kind()
    if path:
        _put(message, path)
    return message


def _put(message: Any, path: Path) -> None:
    step, rest = path[0], path[1:]
    field = message.DESCRIPTOR.fields_by_name[step.field]
    if not step.extension:
        inner = _slot(message, field)
        inner.SetInParent()
        if rest:
            _put(inner, rest)
    else:
        inner = proto.unpack(_any(step.extension))
        if rest:
            _put(inner, rest)
        _slot(message, field, step.extension).CopyFrom(proto.pack(inner))
    _complete(message)


def _complete(message: Any) -> None:
    """What must stand beside some fields before anybody looks at them."""
    match message.DESCRIPTOR.full_name:
        case "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager":
            message.http_filters.add(name="router").typed_config.CopyFrom(_any(_ROUTER))
        case "envoy.config.listener.v3.FilterChain" if not _ends(message):
            message.filters.add(name="last").typed_config.CopyFrom(_any(_TCP_PROXY))
        case "envoy.config.cluster.v3.Cluster" if message.HasField("eds_cluster_config"):
            message.type = proto.cluster.Cluster.EDS


def _ends(chain: Any) -> bool:
    """Whether nothing has to follow what a filter chain has."""
    return not chain.filters or chain.filters[-1].typed_config.type_url.endswith(_TERMINAL)


def _slot(message: Any, field: Any, key: str = "") -> Any:
    """The message in a field, made if it is in a list or a map."""
    value = getattr(message, field.name)
    if field.message_type.GetOptions().map_entry:
        return value[_KEYS.get(key, key or "key")]
    return value.add() if field.is_repeated else value


_KEYS = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"}
