"""Routes of the Gateway API whose parent is a service: sidecars of ours and real Envoys send their applications' requests as these say.

The service `web` is of the namespace `shop`. Its own routes (producer routes) hold for every client; those of `guest` (consumer routes)
for the clients of `guest`, in their place.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.environment import Proxy, place_instances
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST
from pymesh_certs.authority import Authority
from tests.waiting import eventually

from .stage import ENVOY, OURS, Stage, resource, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SHOP, GUEST = "shop", "guest"
WEB = "web.shop.svc.cluster.local"
HTTP, GRPC, TCP, TLS = 80, 90, 9000, 443
VERSIONS = ("web", "v1", "v2")
_AGAIN = 5
"""How often something is asked once it has been answered as expected."""

CALLERS = [(flavor, namespace) for flavor in (OURS, ENVOY) for namespace in (SHOP, GUEST)]


@dataclass(frozen=True)
class Caller:
    """An application's view of its sidecar."""

    sidecar: Proxy
    session: aiohttp.ClientSession
    roots: ssl.SSLContext

    def _port(self, port: int) -> int:
        return self.sidecar.outbound[f"{WEB}:{port}"]

    async def http(self, path: str = "/", host: str = WEB, **headers: str) -> str:
        """The answer to a request: status, and what the backend says; a proxy explains errors in its own words."""
        named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            async with self.session.get(f"http://{HOST}:{self.sidecar.http_proxy}{path}", headers=named) as answer:
                return f"{answer.status} {await answer.text()}" if answer.ok else str(answer.status)
        except aiohttp.ClientError as error:
            return type(error).__name__

    async def in_session(self, path: str, **headers: str) -> tuple[str, str]:
        """Who answers a request to the service of all backends, and the session that the answer tells."""
        url = f"http://{HOST}:{self.sidecar.http_proxy}{path}"
        async with self.session.get(url, headers={"host": f"any.{SHOP}.svc.cluster.local", **headers}) as answer:
            return await answer.text(), answer.headers.get("x-session") or answer.headers.get("set-cookie", "").partition(";")[0]

    async def grpc(self, method: str, **metadata: str) -> str:
        """What a call is answered with: the server's name, or the code of an error."""
        options = [("grpc.default_authority", f"{WEB}:{GRPC}"), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"{HOST}:{self._port(GRPC)}", options=options) as channel:
            try:
                told: bytes = await channel.unary_unary(method)(b"", timeout=10, metadata=list(metadata.items()))
                return told.decode()
            except grpc.aio.AioRpcError as error:
                return error.code().name

    async def tcp(self) -> str:
        """Who answers a connection."""
        return await _first_line(self._port(TCP), None, None)

    async def tls(self, name: str) -> str:
        """Who answers TLS with a server name."""
        return await _first_line(self._port(TLS), self.roots, name)


async def _first_line(port: int, tls: ssl.SSLContext | None, name: str | None) -> str:
    try:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=tls, server_hostname=name)
    except (ConnectionError, ssl.SSLError) as error:
        return type(error).__name__
    try:
        return (await reader.readline()).decode().strip()
    except ConnectionError as error:
        return type(error).__name__
    finally:
        writer.close()


@dataclass(frozen=True)
class Backend:
    """The ports of one version of the application."""

    http: int
    grpc: int
    tcp: int
    tls: int


async def _backend(stack: AsyncExitStack, name: str, tls: ssl.SSLContext) -> Backend:
    """Servers that say their name, and what of the request routes may have changed."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=" ".join(filter(None, [name, request.path_qs, request.headers.get("x-added")])))

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name.encode() + b"\n")
        writer.close()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    stack.push_async_callback(server.close)
    assert server.port is not None
    plain, secure = await asyncio.start_server(say, HOST, 0), await asyncio.start_server(say, HOST, 0, ssl=tls)
    for one in (plain, secure):
        stack.callback(one.close)
    ports = [one.sockets[0].getsockname()[1] for one in (plain, secure)]
    return Backend(server.port, await _calls(stack, name), *ports)


async def _calls(stack: AsyncExitStack, name: str) -> int:
    async def answer(_: bytes, __: Any) -> bytes:
        return name.encode()

    server = grpc.aio.server()
    methods = {method: grpc.unary_unary_rpc_method_handler(answer) for method in ("Get", "List")}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods) for service in ("mesh.Shop", "mesh.Other")])
    port = int(server.add_insecure_port(f"{HOST}:0"))
    await server.start()
    stack.push_async_callback(server.stop, None)
    return port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[tuple[str, str], Caller]]:
    folder = tmp_path_factory.mktemp("stage")
    serving, roots = _tls(folder)
    async with AsyncExitStack() as stack:
        backends = {name: await _backend(stack, name, serving) for name in VERSIONS}
        stage = await stack.enter_async_context(staged(folder))
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        stage.configure("mesh.yaml", *_mesh(backends))
        stage.configure("routes.yaml", *ROUTES)
        await stage.start_control()
        sidecars = await asyncio.gather(*(_sidecar(stage, *one) for one in CALLERS))
        found = {one: Caller(sidecar, session, roots) for one, sidecar in zip(CALLERS, sidecars, strict=True)}
        await asyncio.gather(*(eventually(one.tcp, lambda told: told == "v2") for one in found.values()))
        yield found


@pytest.fixture(params=CALLERS, ids=".".join)
def caller(request: pytest.FixtureRequest, callers: Mapping[tuple[str, str], Caller]) -> Caller:
    return callers[request.param]


def _tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What backends speak TLS with, and what callers verify them with."""
    authority = Authority.load_or_create(folder / "backends", "app.test")
    chain, key = authority.issue_server([WEB, "other.example.com", "a.wild.example.com"], [])
    (folder / "chain.pem").write_bytes(chain + key)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(folder / "chain.pem")
    return serving, ssl.create_default_context(cadata=authority.root_pem.decode())


async def _sidecar(stage: Stage, flavor: str, namespace: str) -> Proxy:
    calls = [f"{WEB}:{port}" for port in (GRPC, TCP, TLS)]
    workload = Workload(name=f"{flavor}-{namespace}", labels={"app": "caller"}, command=["true"], ports={"http": 0}, calls=calls)
    (instance,) = place_instances(workload, namespace, stage.folder / "tokens", stage.ports)
    assert instance.sidecar is not None
    await stage.start(instance.sidecar, flavor)
    return instance.sidecar


def _mesh(backends: Mapping[str, Backend]) -> list[dict[str, Any]]:
    """The service and its versions; no mutual TLS, for the backends have no sidecars."""
    mesh = {"metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": "enableAutoMtls: false"}}
    services = [_service(name, one) for name, one in backends.items()]
    return [{"apiVersion": "v1", "kind": "ConfigMap", **mesh}, *services, _service("any", *backends.values())]


def _service(name: str, *instances: Backend) -> dict[str, Any]:
    ports = {"http": HTTP, "grpc": GRPC, "tcp": TCP, "tls": TLS}
    spec = {
        "hosts": [f"{name}.{SHOP}.svc.cluster.local"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": number, "name": port, "protocol": port.upper()} for port, number in ports.items()],
        "endpoints": [{"address": HOST, "ports": asdict(one)} for one in instances],
    }  # fmt: skip
    return _in(SHOP, resource("ServiceEntry", name, spec))


def _in(namespace: str, made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}}


def _route(
    kind: str, name: str, namespace: str, rules: Sequence[dict[str, Any]], port: int, parent: str = "web", **more: Any
) -> dict[str, Any]:
    of_mesh = {"group": "", "kind": "Service", "name": parent, "namespace": SHOP, "port": port}
    made = resource(kind, name, {"parentRefs": [of_mesh], "rules": list(rules), **more})
    return {**_in(namespace, made), "apiVersion": "gateway.networking.k8s.io/v1"}


def _to(version: str, port: int, **more: Any) -> dict[str, Any]:
    return {"name": version, "namespace": SHOP, "port": port, **more}


def _rule(version: str, port: int, *filters: dict[str, Any], **match: Any) -> dict[str, Any]:
    return {"matches": [match] if match else [], "filters": list(filters), "backendRefs": [_to(version, port)]}


ADDED = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-added", "value": "yes"}]}}
REWRITE = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}}}
GONE = {"name": "gone", "namespace": SHOP, "port": HTTP}

SESSIONS = {"cookie": {"cookie": {"name": "mine", "path": "/cookie"}}, "header": {"type": "Header", "header": {"name": "x-session"}}}

ROUTES = [
    _route("HTTPRoute", "sessions", SHOP, [
        {**_rule("any", HTTP, path={"type": "PathPrefix", "value": f"/{name}"}), "sessionPersistence": session}
        for name, session in SESSIONS.items()
    ], HTTP, parent="any"),
    _route("HTTPRoute", "http", SHOP, [
        _rule("v1", HTTP),
        _rule("v2", HTTP, ADDED, headers=[{"name": "x-version", "value": "2"}]),
        _rule("web", HTTP, REWRITE, path={"type": "PathPrefix", "value": "/old"}),
        {"matches": [{"path": {"type": "PathPrefix", "value": "/gone"}}], "backendRefs": [GONE]},
    ], HTTP, hostnames=["elsewhere.example.com"]),
    _route("HTTPRoute", "http", GUEST, [_rule("v2", HTTP), _rule("web", HTTP, path={"type": "Exact", "value": "/own"})], HTTP),
    _route("GRPCRoute", "calls", SHOP, [
        _rule("v1", GRPC),
        _rule("v2", GRPC, method={"service": "mesh.Shop", "method": "List"}),
        {"matches": [{"method": {"service": "mesh.Gone"}}], "backendRefs": [GONE]},
        _rule("web", GRPC, headers=[{"name": "version", "value": "web"}]),
    ], GRPC),
    _route("GRPCRoute", "calls", GUEST, [_rule("v2", GRPC, method={"service": "mesh.Shop"})], GRPC),
    _route("TCPRoute", "tcp", SHOP, [{"backendRefs": [_to("v1", TCP, weight=0), _to("v2", TCP)]}], TCP),
    _route("TLSRoute", "tls", SHOP, [{"backendRefs": [_to("v1", TLS)]}], TLS, hostnames=[WEB]),
    _route("TLSRoute", "names", SHOP, [{"backendRefs": [_to("v2", TLS)]}], TLS, hostnames=["other.example.com", "*.wild.example.com"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "headers", "producer", "consumer"),
    [
        ("/", {}, "200 v1 /", "200 v2 /"),
        ("/", {"x_version": "2"}, "200 v2 / yes", "200 v2 /"),
        ("/old/x?y=1", {}, "200 web /new/x?y=1", "200 v2 /old/x?y=1"),
        ("/own", {}, "200 v1 /own", "200 web /own"),
        ("/gone", {}, "500", "200 v2 /gone"),
    ],
)
async def test_requests_obey_the_routes_of_the_clients_namespace_or_else_of_the_service(
    caller: Caller, path: str, headers: dict[str, str], producer: str, consumer: str
) -> None:
    expected = consumer if caller.sidecar.namespace == GUEST else producer
    await eventually(lambda: caller.http(path, **headers), lambda told: told == expected)
    assert {await caller.http(path, **headers) for _ in range(_AGAIN)} == {expected}


async def test_a_backend_that_is_a_service_is_routed_as_the_service_alone(caller: Caller) -> None:
    for version in ("v1", "v2"):
        assert await caller.http(host=f"{version}.shop.svc.cluster.local") == f"200 {version} /"


@pytest.mark.parametrize(
    ("method", "metadata", "producer", "consumer"),
    [
        ("/mesh.Shop/Get", {}, "v1", "v2"),
        ("/mesh.Shop/List", {}, "v2", "v2"),
        ("/mesh.Shop/Get", {"version": "web"}, "web", "v2"),
        ("/mesh.Other/Get", {}, "v1", "UNIMPLEMENTED"),
        ("/mesh.Gone/Get", {}, "UNAVAILABLE", "UNIMPLEMENTED"),
    ],
)
async def test_calls_obey_the_routes_of_the_clients_namespace_or_else_of_the_service(
    caller: Caller, method: str, metadata: dict[str, str], producer: str, consumer: str
) -> None:
    expected = consumer if caller.sidecar.namespace == GUEST else producer
    await eventually(lambda: caller.grpc(method, **metadata), lambda told: told == expected)
    assert {await caller.grpc(method, **metadata) for _ in range(_AGAIN)} == {expected}


async def test_connections_go_by_weight_and_none_to_a_backend_without(caller: Caller) -> None:
    assert {await caller.tcp() for _ in range(_AGAIN)} == {"v2"}


@pytest.mark.parametrize(("name", "version"), [(WEB, "v1"), ("other.example.com", "v2"), ("a.wild.example.com", "v2")])
async def test_tls_goes_where_its_server_name_says(caller: Caller, name: str, version: str) -> None:
    await eventually(lambda: caller.tls(name), lambda told: told == version)
    assert {await caller.tls(name) for _ in range(_AGAIN)} == {version}


@pytest.mark.parametrize(("carrier", "header"), [("cookie", "cookie"), ("header", "x-session")])
async def test_a_session_stays_with_its_instance_and_every_sidecar_keeps_it(
    callers: Mapping[tuple[str, str], Caller], carrier: str, header: str
) -> None:
    for beginner in callers.values():
        first, told = await eventually(lambda caller=beginner: caller.in_session(f"/{carrier}"), lambda seen: seen[1])
        for keeper in callers.values():
            seen = {await keeper.in_session(f"/{carrier}", **{header: told}) for _ in range(_AGAIN)}
            assert seen == {(first, "")}
