"""Real Envoys whose configuration is changed again and again beneath them, and what each of them makes of it.

The control plane runs in this process, without files and waiting. Each Envoy has a network namespace of its own, in which any port is free;
it reaches the control plane, its secrets and its tests through Unix sockets.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
from google.protobuf import any_pb2, json_format

from pymesh.api import parse_text
from pymesh.xds import proto, types
from pymesh_certs.agent.sds import SdsServer
from pymesh_certs.agent.secrets import Secrets
from pymesh_certs.workload import Bundle
from pymesh_control.ads import admission, servicer
from pymesh_control.ads.clients import Clients
from pymesh_control.ads.subscription import Subscription
from pymesh_control.generate import Built, generate
from pymesh_control.metrics import Metrics
from pymesh_control.model.view import ProxyView, view_of
from pymesh_control.push.pusher import Pusher
from pymesh_control.store.catalogue import Contents
from pymesh_control.world import World
from tests.certificates import Authority
from tests.interop.conftest import require
from tests.interop.connections.namespaces import host
from tests.waiting import eventually

_SECTIONS = {
    types.CLUSTER: ("cluster", ("dynamic_active_clusters", "dynamic_warming_clusters")),
    types.LISTENER: ("listener", ("dynamic_listeners",)),
    types.ROUTE: ("route_config", ("dynamic_route_configs",)),
    types.ENDPOINT: ("endpoint_config", ("dynamic_endpoint_configs",)),
}
"""Of each type: where the resource is in an entry of Envoy's dump, and the fields that hold entries, the newest state last."""

_MANAGER = "envoy.filters.network.http_connection_manager"
_PATIENCE = 40.0  # seconds until a change is in Envoy's dump; it takes some milliseconds
_PAUSE = 0.004

Held = dict[str, dict[str, Any]]
"""Resources by type and name."""


class Plane:
    """A control plane in this process. Nobody registers, and what proxies are told is replaced by `become`."""

    def __init__(self, folder: Path) -> None:
        self.metrics = Metrics()
        self.world = World("cluster.local", self.metrics)
        self._pusher = Pusher()
        self.clients = self._nobody_yet()
        self.address = folder / "ads"
        self._plain: dict[str, Any] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        self._server = await self._serve()
        self._pusher.start()
        try:
            yield
        finally:
            await self._pusher.stop()
            await self._server.stop(None)

    @asynccontextmanager
    async def gone(self) -> AsyncIterator[None]:
        """Within the block nobody serves; behind it somebody does who knows of no client."""
        await self._server.stop(None)
        yield
        self.clients = self._nobody_yet()
        self._server = await self._serve()

    async def _serve(self) -> grpc.aio.Server:
        server = servicer.server(self.clients, admission.anyone, self.metrics)
        server.add_insecure_port(f"unix:{self.address}")
        await server.start()
        return server

    def _nobody_yet(self) -> Clients:
        return Clients(self.world, _Nobody(), self._pusher.queue, self.metrics)

    def become(self, text: str) -> None:
        """Let the mesh be what a YAML text says, and tell everybody."""
        parsed = parse_text(text, "mesh.yaml")
        self.world.rebuild(Contents(tuple(parsed.resources), tuple(parsed.problems)), ())
        assert not [str(problem) for problem in self.world.problems if problem.severity == "error"]
        self.clients.push(time.monotonic())

    def sent(self, view: ProxyView) -> Held:
        """What a proxy has to have now, once it has asked for everything that it is told of."""
        listeners = self._of(view, types.LISTENER, None)
        clusters = self._of(view, types.CLUSTER, None)
        eds = {name for name, one in clusters.items() if one.get("type") == "EDS"}
        return {
            types.CLUSTER: clusters,
            types.LISTENER: listeners,
            types.ROUTE: self._of(view, types.ROUTE, frozenset(_route_names(listeners))),
            types.ENDPOINT: {name: one for name, one in self._of(view, types.ENDPOINT, frozenset(eds)).items() if name in eds},
        }

    def _of(self, view: ProxyView, kind: str, names: frozenset[str] | None) -> dict[str, Any]:
        built = generate(self.world.snapshot, view, kind, names)
        return {name: self._known(one) for name, one in built.items()}

    def _known(self, built: Built) -> Any:
        """A resource as plain values: most are the same from mesh to mesh."""
        if built.version not in self._plain:
            self._plain[built.version] = _plain(proto.unpack(built.any))
        return self._plain[built.version]

    def settled(self, view: ProxyView) -> bool:
        """Whether there is nothing more to send to a proxy, and it has answered all that it was sent."""
        present = self.world.resources(view)
        return all(
            not one.unanswered() and _versions(one.sent) == _versions(one.fetch(present))
            for one in self._subscriptions(view)
        )

    def refusal(self, view: ProxyView) -> str:
        """What a proxy has said no to, and why."""
        return "; ".join(f"{types.SHORT[one.type_url]}: {one.error}" for one in self._subscriptions(view) if one.error)

    def _subscriptions(self, view: ProxyView) -> list[Subscription]:
        return [one for stream in self.clients if stream.node.id == view.node_id for one in stream.session.subscribed()]


def _versions(resources: Mapping[str, Built]) -> dict[str, str]:
    return {name: built.version for name, built in resources.items()}


class _Nobody:
    """Takes no notice of who comes and goes."""

    def arrived(self, *_: object) -> None: ...

    def felt(self, *_: object) -> None: ...

    def left(self, *_: object, well: bool) -> None: ...


class Envoy:
    """A running Envoy, and the proxy that it is to the control plane."""

    def __init__(self, view: ProxyView, admin: Path) -> None:
        self.view = view
        self._plain: dict[str, tuple[str, Any]] = {}
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin)))

    async def close(self) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any:
        """The JSON of an admin page."""
        async with self._session.get(f"http://envoy{path}") as answer:
            return json.loads(await answer.text())

    async def ready(self) -> bool:
        try:
            return (await self.get("/server_info"))["state"] == "LIVE"
        except (OSError, aiohttp.ClientError):
            return False

    async def holds(self, plane: Plane) -> str:
        """Wait until it has what it is sent, no more and no less. A refusal, or the first difference when that does not come."""
        deadline, sent, difference = time.monotonic() + _PATIENCE, plane.sent(self.view), "not everything was answered"
        while time.monotonic() < deadline:
            if plane.settled(self.view) and not (difference := plane.refusal(self.view) or _difference(sent, await self._held())):
                return ""
            if plane.settled(self.view) and plane.refusal(self.view):
                break
            await asyncio.sleep(_PAUSE)
        return difference

    async def _held(self) -> Held:
        found: Held = {kind: {} for kind in _SECTIONS}
        for config in (await self.get("/config_dump?include_eds"))["configs"]:
            for kind, (key, fields) in _SECTIONS.items():
                for entry in (entry for field in fields for entry in config.get(field, ())):
                    state = entry.get("warming_state") or entry.get("active_state") or entry
                    if key in state:
                        found[kind].update([self._told(kind, state[key])])
        return found

    def _told(self, kind: str, resource: Any) -> tuple[str, Any]:
        """A resource's name, and what it is in plain values, spelled as ours are."""
        text = json.dumps(resource)
        if text not in self._plain:
            message = proto.unpack(json_format.ParseDict(resource, any_pb2.Any()))
            self._plain[text] = types.resource_name(kind, message), _plain(message)
        return self._plain[text]


@asynccontextmanager
async def live(folder: Path, *nodes: Mapping[str, Any]) -> AsyncIterator[tuple[Plane, list[Envoy]]]:
    """A control plane of an empty mesh and an Envoy for each node (as its bootstrap spells it), all of them ready."""
    plane = Plane(folder)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(plane.serving())
        secrets = SdsServer(_secrets(), folder / "sds")
        await secrets.start()
        stack.push_async_callback(secrets.stop)
        envoys = [await stack.enter_async_context(_running(folder, plane, node)) for node in nodes]
        for envoy in envoys:
            await eventually(envoy.ready)
        yield plane, envoys


@asynccontextmanager
async def _running(folder: Path, plane: Plane, node: Mapping[str, Any]) -> AsyncIterator[Envoy]:
    name = node["id"].partition("~")[0]
    admin, bootstrap = folder / f"{name}-admin", folder / f"{name}.json"
    bootstrap.write_text(json.dumps(_bootstrap(node, plane.address, folder / "sds", admin)))
    binary = str(require("envoy"))
    with host(name) as alone, (folder / f"{name}.log").open("wb") as log:
        alone.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind")
        argv = alone.inside(binary, "-c", str(bootstrap), "--disable-hot-restart", "--concurrency", "1", "-l", "warning")
        # Without anything to run between fork and exec: gRPC's handlers of a fork may hang in a process that serves.
        child = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        envoy = Envoy(view_of(json_format.ParseDict({**node, "user_agent_name": "envoy"}, proto.base.Node()), None), admin)
        try:
            yield envoy
        finally:
            await envoy.close()
            child.kill()
            await child.wait()


def _bootstrap(node: Mapping[str, Any], ads: Path, sds: Path, admin: Path) -> dict[str, Any]:
    service = {"envoy_grpc": {"cluster_name": "xds-grpc"}}
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {
        "node": {**node, "cluster": "live"},
        "admin": {"address": {"pipe": {"path": str(admin)}}},
        "dynamic_resources": {
            "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [service]},
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {"clusters": [_grpc("xds-grpc", ads), _grpc("sds-grpc", sds)]},
    }


def _grpc(name: str, path: Path) -> dict[str, Any]:
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(path)}}}}
    return {
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _secrets() -> Secrets:
    """What a workload's agent would have: a certificate of the mesh, and its root."""
    authority = Authority()
    pair = authority.pair("spiffe://cluster.local/ns/default/sa/default")
    now, made = datetime.now(UTC), Secrets()
    made.put(Bundle(chain_pem=pair.chain, key_pem=pair.key, roots_pem=authority.pem, obtained=now, not_after=now + timedelta(hours=1)))
    return made


def _plain(message: Any) -> Any:
    return _blotted(json_format.MessageToDict(message, preserving_proto_field_name=True))


def _blotted(value: Any) -> Any:
    """A value without private keys, not even the names of their files: Envoy does not tell them."""
    if isinstance(value, dict):
        return {key: "" if key == "private_key" else _blotted(inner) for key, inner in value.items()}
    return [_blotted(inner) for inner in value] if isinstance(value, list) else value


def _route_names(listeners: Mapping[str, Any]) -> list[str]:
    chains = [
        chain
        for listener in listeners.values()
        for chain in (*listener.get("filter_chains", ()), *filter(None, [listener.get("default_filter_chain")]))
    ]
    managers = [one["typed_config"] for chain in chains for one in chain.get("filters", ()) if one["name"] == _MANAGER]
    return [manager["rds"]["route_config_name"] for manager in managers if "rds" in manager]


def _instances(assignment: Any) -> list[str]:
    """Where the instances of an assignment are and what they count; Envoy tells its hosts, not the message that it was sent."""
    return sorted(
        json.dumps([group.get("locality"), group.get("priority", 0), *_counts(instance)], sort_keys=True)
        for group in assignment.get("endpoints", ())
        for instance in group.get("lb_endpoints", ())
    )


def _counts(instance: Any) -> list[Any]:
    return [instance["endpoint"]["address"], instance.get("load_balancing_weight"), instance.get("health_status"), instance.get("metadata")]


def _difference(sent: Held, held: Held) -> str:
    for kind, wanted in sent.items():
        found = held[kind]
        if kind in (types.ENDPOINT, types.ROUTE):  # there are also those of static clusters, and of listeners that still drain
            found = {name: one for name, one in found.items() if name in wanted}
        if kind == types.ENDPOINT:
            found, wanted = ({name: _instances(one) for name, one in some.items()} for some in (found, wanted))
        for name in wanted.keys() | found.keys():
            if wanted.get(name) != found.get(name):
                return f"{types.SHORT[kind]} {name}: sent {wanted.get(name)}, but Envoy has {found.get(name)}"
    return ""
