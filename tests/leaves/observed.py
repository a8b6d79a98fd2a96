"""What a mesh comes to: everything that a few of its proxies are sent and started with, and how two of them differ."""

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from pymesh.api import parse_text
from pymesh.bootstrap.effective import ProxyConfigs, proxy_config
from pymesh.xds import proto, types
from pymesh_control.analyze.run import warnings
from pymesh_control.generate import Built, generate
from pymesh_control.model import support
from pymesh_control.model.assembly import build
from pymesh_control.model.snapshot import Snapshot
from pymesh_control.model.view import ProxyView, view_of
from pymesh_control.model.workload import Workload

MESH = Path(__file__).with_name("mesh.yaml").read_text()
_MANAGER = "envoy.filters.network.http_connection_manager"
_LONGEST = 200
"""Characters of a value that are shown."""


def _proxy(kind: str, ip: str, namespace: str, **labels: str) -> ProxyView:
    node = proto.base.Node(id=f"{kind}~{ip}~{namespace}~{namespace}.svc.cluster.local", user_agent_name="pymesh")
    node.metadata.update({"LABELS": labels, "INSTANCE_IPS": ip})
    node.locality.region, node.locality.zone = "eu", "west"
    return view_of(node, None)


PROXIES = {
    "client": _proxy("sidecar", "10.0.0.5", "default", app="client"),
    "server": _proxy("sidecar", "10.0.0.9", "default", app="target"),
    "stranger": _proxy("sidecar", "10.0.0.6", "far", app="stranger"),
    "gateway": _proxy("router", "10.0.0.7", "default", istio="ingressgateway"),
}
"""The proxies that look at a mesh: in the namespace of its resources, behind a service, in another namespace, and at the edge."""


MEMBERS = (Workload(name="leaf-10.0.2.1", namespace="default", ip="10.0.2.1", group="leaf", node_id="leaf"),)
"""A workload that has registered for a WorkloadGroup, and takes part when there is one."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of a mesh. `resources` is by proxy, type and name; none of them where the mesh was not to be read."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    resources: dict[str, dict[str, dict[str, Built]]]
    started: dict[str, dict[str, Any]]
    """The PROXY_CONFIG that each proxy has to be started with."""


@functools.cache
def observe(text: str) -> Observed:
    """What becomes of a YAML text beside the mesh."""
    parsed = parse_text(f"{MESH}---\n{text}", "mesh.yaml")
    snapshot, refused = build(parsed.resources, MEMBERS, 1)
    problems = [*parsed.problems, *refused]
    accepted = [one for one in parsed.resources if not support.refusals(one)]
    errors = tuple(one.message for one in problems if one.severity == "error")
    told = [*(one for one in problems if one.severity == "warning"), *warnings(accepted, snapshot)]
    sent = {} if errors else {name: _sent(snapshot, view) for name, view in PROXIES.items()}
    configs = ProxyConfigs(accepted)
    started = {name: proxy_config(configs.of(view.namespace, view.labels)) for name, view in PROXIES.items()}
    return Observed(errors, tuple(one.message for one in told), sent, started)


def _sent(snapshot: Snapshot, view: ProxyView) -> dict[str, dict[str, Built]]:
    listeners = generate(snapshot, view, types.LISTENER, None)
    clusters = generate(snapshot, view, types.CLUSTER, None)
    messages = [proto.unpack(one.any) for one in listeners.values()]
    routes = generate(snapshot, view, types.ROUTE, frozenset(_route_names(messages)))
    endpoints = generate(snapshot, view, types.ENDPOINT, frozenset(clusters))
    by_type = {"Cluster": clusters, "ClusterLoadAssignment": endpoints, "Listener": listeners, "RouteConfiguration": routes}
    return {kind: dict(found) for kind, found in by_type.items()}


def _plain(built: Built) -> Any:
    return json_format.MessageToDict(proto.unpack(built.any), preserving_proto_field_name=True)


def _route_names(listeners: Iterable[Any]) -> Iterator[str]:
    for listener in listeners:
        for chain in (*listener.filter_chains, listener.default_filter_chain):
            for held in chain.filters:
                if held.name == _MANAGER and (manager := proto.unpack(held.typed_config)).HasField("rds"):
                    yield manager.rds.route_config_name


def changes(before: Observed, after: Observed) -> dict[str, list[str]]:
    """Each difference as `Type.field: old -> new`, with the proxies that see it."""
    found: dict[str, list[str]] = {}
    for proxy in PROXIES:
        for kind, resources in before.resources[proxy].items():
            for line in dict.fromkeys(_between(resources, after.resources[proxy][kind], kind)):
                found.setdefault(line, []).append(proxy)
        for line in _differences(before.started[proxy], after.started[proxy], "PROXY_CONFIG"):
            found.setdefault(line, []).append(proxy)
    return found


def _between(old: dict[str, Built], new: dict[str, Built], kind: str) -> Iterator[str]:
    for name in sorted(old | new):
        if name not in old or name not in new:
            yield f"{kind} `{name}` {'is gone' if name in old else 'is new'}"
        elif old[name].version != new[name].version:
            yield from _differences(_plain(old[name]), _plain(new[name]), kind)


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [key for key in old | new if key != "pymesh"]:  # our own metadata: what a resource was made of
            yield from _differences(old.get(key), new.get(key), path if key == "typed_config" else f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list):
        yield from _items(old, new, path)
    else:
        yield f"{path}: {_short(new)}" if old is None else f"{path}: {_short(old)} -> {_short(new)}"


def _items(old: list[Any], new: list[Any], path: str) -> Iterator[str]:
    """Lists differ by what stands between their common beginning and end."""
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    for one, other in zip(old, new, strict=False):
        yield from _differences(one, other, path)
    for one in old[len(new) :]:
        yield f"{path}: without {_short(one)}"
    for one in new[len(old) :]:
        yield f"{path}: with {_short(one)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).replace('"@type": "type.googleapis.com/', '"@type": "')
    return "nothing" if value is None else text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
