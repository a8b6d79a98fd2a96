"""Envoys and our proxies, sidecars and gateways of one mesh, send the same requests to the same backends, whatever the mesh becomes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.environment import place_instances
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST
from tests.waiting import eventually

from .stage import ENVOY, NAMESPACE, OURS, Stage, resource, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SHOP = "shop.default.svc.cluster.local"
_AGAIN = 5
"""How often a request is sent once it has been answered as expected."""


@dataclass(frozen=True)
class Way:
    """A way into the mesh: the HTTP port of a proxy, and of a gateway its port for TCP."""

    name: str
    port: int
    tcp: int = 0

    @property
    def is_gateway(self) -> bool:
        return bool(self.tcp)


@dataclass(frozen=True)
class Site:
    """What the meshes of this file are made on: backends that say their names, and four ways to them."""

    stage: Stage
    session: aiohttp.ClientSession
    ways: tuple[Way, ...]
    backends: Mapping[str, int]

    async def become(self, name: str, text: str) -> None:
        """Let the mesh be what a YAML text says, with the names of backends for their ports. Returns when all ways know of it."""
        mark = routes(f"  http: [{{directResponse: {{status: 200, body: {{string: '{name}'}}}}}}]", "[mark.example.com]", "mark")
        self.stage.configure("mesh.yaml", *yaml.safe_load_all(mark + text % self.backends))
        known = Ask(f"200 {name}", host="mark.example.com")
        await asyncio.gather(*(self.answered(way, known) for way in self.ways))

    async def answered(self, way: Way, ask: "Ask") -> None:
        """Wait until a request is answered as expected."""
        await eventually(lambda: self.ask(way, ask), ask.is_met)

    async def ask(self, way: Way, ask: "Ask") -> str:
        """The answer to a request: status, and the backend with the path that it saw, or the body, or where to go."""
        url = f"http://{HOST}:{way.tcp if ask.tcp else way.port}{ask.path}"
        try:
            async with self.session.request(ask.method, url, headers={"Host": ask.host, **ask.headers}, allow_redirects=False) as answer:
                told = answer.headers.get("Location") or await answer.text()
                return f"{answer.status} {told}".strip()
        except aiohttp.ClientError as error:
            return type(error).__name__


@dataclass(frozen=True)
class Ask:
    """A request, and the answer that every way in gives, unless a sidecar's is another."""

    expected: str
    path: str = "/"
    host: str = SHOP
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    sidecar: str = ""
    tcp: bool = False
    """Over a gateway's port for TCP."""

    def is_met(self, told: str) -> bool:
        """Whether an answer is the one; where only a status is expected, a proxy may explain it in its own words."""
        return told.split(" ")[0] == self.expected if self.expected.isdigit() else told == self.expected

    def by(self, way: Way) -> "Ask | None":
        """The request with the answer that is expected of a way in; None where it is not for that one."""
        expected = self.expected if way.is_gateway else self.sidecar or self.expected
        return None if expected == "-" else replace(self, expected=expected)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        backends = {name: await _backend(stack, name) for name in ("v1", "v2", "alone", "outside")}
        stage = await stack.enter_async_context(staged(tmp_path_factory.mktemp("stage")))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        gateways = [Way(flavor, stage.ports.take(), stage.ports.take()) for flavor in (OURS, ENVOY)]
        stage.configure("base.yaml", *_base(gateways, backends))
        await stage.start_control()
        sidecars = await asyncio.gather(*(_sidecar(stage, flavor) for flavor in (OURS, ENVOY)))
        await asyncio.gather(*(stage.start_gateway(way.name, way.name) for way in gateways))
        yield Site(stage, session, (*sidecars, *gateways), backends)


async def _backend(stack: AsyncExitStack, name: str) -> int:
    """A server that answers with its name, the path, and a header that routes may add; its port."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=" ".join(filter(None, [name, request.path_qs, request.headers.get("x-added")])))

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    stack.push_async_callback(server.close)
    assert server.port is not None
    return server.port


async def _sidecar(stage: Stage, flavor: str) -> Way:
    workload = Workload(name=f"caller-{flavor}", labels={"app": "caller"}, command=["true"], ports={"http": 0})
    (instance,) = place_instances(workload, NAMESPACE, stage.folder / "tokens", stage.ports)
    assert instance.sidecar is not None
    await stage.start(instance.sidecar, flavor)
    return Way(flavor, instance.sidecar.http_proxy)


def _base(gateways: list[Way], backends: Mapping[str, int]) -> list[dict[str, Any]]:
    """Services, a gateway for each proxy, and no mutual TLS, for the backends have no sidecars."""
    settings = "enableAutoMtls: false"
    mesh = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": settings}}
    shop = [{"address": HOST, "ports": {"http": backends[name]}, "labels": {"version": name}} for name in ("v1", "v2")]
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    return [
        mesh,
        _service("shop", SHOP, shop),
        _service("alone", "alone.default.svc.cluster.local", [{"address": HOST, "ports": {"http": backends["alone"]}}]),
        resource("DestinationRule", "shop", {"host": SHOP, "subsets": subsets}),
        *(resource("Gateway", way.name, _gateway(way)) for way in gateways),
    ]


def _service(name: str, host: str, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    spec = {"hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": ports, "endpoints": endpoints}
    return resource("ServiceEntry", name, spec)


def _gateway(way: Way) -> dict[str, Any]:
    http = {"port": {"number": way.port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    tcp = {"port": {"number": way.tcp, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    return {"selector": {"edge": way.name}, "servers": [http, tcp]}


def routes(text: str, hosts: str = f"[{SHOP}]", name: str = "routes") -> str:
    """A VirtualService for all ways in, with the rest of its spec."""
    head = f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: default}}\n"
    return f"{head}spec:\n  hosts: {hosts}\n  gateways: [mesh, {OURS}, {ENVOY}]\n{text}\n---\n"


def to(subset: str, weight: str = "") -> str:
    return f"{{destination: {{host: {SHOP}, subset: {subset}}}{weight}}}"


EDITED = f"{{destination: {{host: {SHOP}, subset: v1}}, headers: {{request: {{set: {{x-added: b}}}}}}}}"

MESHES = {
    "by header": (
        routes(f"  http:\n  - match: [{{headers: {{end-user: {{exact: jason}}}}}}]\n    route: [{to('v2')}]\n  - route: [{to('v1')}]"),
        [Ask("200 v1 /"), Ask("200 v2 /", headers={"end-user": "jason"}), Ask("200 v1 /", headers={"end-user": "jasons"})],
    ),
    "all to one": (
        routes(f"  http: [{{route: [{to('v1', ', weight: 0')}, {to('v2', ', weight: 100')}]}}]"),
        [Ask("200 v2 /")],
    ),
    "by path": (
        routes(
            f"  http:\n  - match: [{{uri: {{exact: /one}}}}, {{uri: {{prefix: /two}}, ignoreUriCase: true}}]\n    route: [{to('v1')}]\n"
            f"  - match: [{{uri: {{regex: '/[0-9]+'}}}}]\n    route: [{to('v2')}]\n"
            "  - directResponse: {status: 404, body: {string: 'no'}}"
        ),
        [
            Ask("200 v1 /one", "/one"), Ask("200 v1 /TWO/x", "/TWO/x"), Ask("200 v2 /42", "/42"), Ask("404 no", "/42x"),
            Ask("404 no", "/one/"),
        ],
    ),
    "by query, method and their absence": (
        routes(
            f"  http:\n  - match: [{{queryParams: {{v: {{exact: '2'}}}}, method: {{exact: GET}}}}]\n    route: [{to('v2')}]\n"
            f"  - match: [{{withoutHeaders: {{x-known: {{}}}}}}]\n    route: [{to('v1')}]\n  - directResponse: {{status: 403}}"
        ),
        [
            Ask("200 v2 /?v=2", "/?v=2"), Ask("200 v1 /?v=2", "/?v=2", method="PUT"), Ask("200 v1 /?v=22", "/?v=22"),
            Ask("403", headers={"x-known": "yes"}),
        ],
    ),
    "redirects": (
        routes(
            "  http:\n  - match: [{uri: {prefix: /old}}]\n    redirect: {uri: /new, authority: other.example.com, redirectCode: 308}\n"
            "  - match: [{uri: {prefix: /part/}}]\n    redirect: {prefixRewrite: /whole/, scheme: https}\n"
            f"  - route: [{to('v1')}]"
        ),
        [Ask("308 http://other.example.com/new", "/old/x"), Ask(f"301 https://{SHOP}/whole/x?y=1", "/part/x?y=1"), Ask("200 v1 /", "/")],
    ),
    "faults": (
        routes(
            f"  http:\n  - match: [{{uri: {{prefix: /broken}}}}]\n    fault: {{abort: {{httpStatus: 418, percentage: {{value: 100}}}}}}\n"
            f"    route: [{to('v1')}]\n  - fault: {{abort: {{percentage: {{value: 100}}}}}}\n    route: [{to('v2')}]"
        ),
        [Ask("418 fault filter abort", "/broken"), Ask("200 v2 /")],
    ),
    "rewrites and headers": (
        routes(
            "  http:\n  - match: [{uri: {prefix: /api/}}]\n    rewrite: {uri: /}\n    headers: {request: {set: {x-added: 'yes'}}}\n"
            f"    route: [{to('v1')}]\n  - match: [{{uri: {{prefix: /re/}}}}]\n"
            f"    rewrite: {{uriRegexRewrite: {{match: '^/re/(\\w+)/(\\w+)', rewrite: '/\\2-\\1'}}}}\n    route: [{to('v2')}]"
        ),
        [Ask("200 v1 /cart?x=1 yes", "/api/cart?x=1"), Ask("200 v2 /b-a", "/re/a/b")],
    ),
    "another service": (
        routes("  http: [{route: [{destination: {host: alone}}]}]"),
        [Ask("200 alone /")],
    ),
    "a subset that is not there": (
        routes(f"  http:\n  - match: [{{uri: {{prefix: /x}}}}]\n    route: [{to('v9')}]\n  - route: [{to('v1')}]"),
        [Ask("503", "/x"), Ask("200 v1 /")],
    ),
    "a service outside": (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: outside, namespace: default}\n"
        "spec: {hosts: [outside.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],"
        f" endpoints: [{{address: {HOST}, ports: {{http: %(outside)d}}}}]}}\n---\n"
        + routes("  http: [{route: [{destination: {host: outside.example.com}}]}]", "[outside.example.com]"),
        [Ask("200 outside /x", "/x", "outside.example.com")],
    ),
    "hosts of gateways": (
        routes(f"  http: [{{route: [{to('v1')}]}}]", "['*.shop.example.com']", "wild")
        + routes(f"  http: [{{route: [{to('v2')}]}}]", "[a.shop.example.com]", "one"),
        [
            Ask("200 v1 /", host="b.shop.example.com"), Ask("200 v2 /", host="a.shop.example.com"),
            Ask("404", host="shop.example.com", sidecar="-"), Ask("404", host="else.example.com", sidecar="-"),
        ],
    ),
    "delegates": (
        routes("  http:\n  - match: [{uri: {prefix: /cart}}]\n    delegate: {name: cart}\n  - route: [{destination: {host: alone}}]")
        + "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: cart, namespace: default}\n"
        f"spec:\n  http:\n  - match: [{{uri: {{prefix: /cart/new}}}}]\n    route: [{to('v2')}]\n  - route: [{to('v1')}]\n",
        [Ask("200 v2 /cart/new/1", "/cart/new/1"), Ask("200 v1 /cart", "/cart"), Ask("200 alone /", "/")],
    ),
    "connections": (
        routes(f"  tcp: [{{route: [{to('v2')}]}}]"),
        [Ask("200 v2 /tcp", "/tcp", sidecar="-", tcp=True)],
    ),
    "rules for others only": (
        routes("  http: [{match: [{sourceNamespace: elsewhere}], directResponse: {status: 403}}]", "[alone, a.shop.example.com]", "first")
        + routes(f"  http: [{{match: [{{sourceLabels: {{app: caller}}}}], route: [{to('v1')}]}}, {{route: [{to('v2')}]}}]", name="second")
        + routes("  http: [{route: [{destination: {host: alone}}]}]", "['*.shop.example.com']", "wild"),
        [
            Ask("404", host="alone.default.svc.cluster.local", sidecar="200 alone /"), Ask("200 v2 /", sidecar="200 v1 /"),
            Ask("200 alone /", host="a.shop.example.com"),
        ],
    ),
    "edits of a destination follow the route": (
        routes(f"  http: [{{headers: {{request: {{set: {{x-added: a}}}}}}, route: [{EDITED}]}}]"),
        [Ask("200 v1 / b")],
    ),
    "registry only": (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: strict, namespace: default}\n"
        "spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n---\n" + routes(f"  http: [{{route: [{to('v1')}]}}]"),
        [Ask("404", host="stranger.example.com", sidecar="502"), Ask("200 v1 /")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MESHES)
async def test_the_same_requests_reach_the_same_backends(site: Site, name: str) -> None:
    text, asks = MESHES[name]
    await site.become(name, text)
    for way in site.ways:
        for ask in filter(None, (ask.by(way) for ask in asks)):
            await site.answered(way, ask)  # a listener may be late
            told = {await site.ask(way, ask) for _ in range(_AGAIN)}
            assert all(map(ask.is_met, told)), (way, ask, told)


async def test_the_same_keys_belong_to_the_same_backends(site: Site) -> None:
    hashed = "{loadBalancer: {consistentHash: {httpHeaderName: x-key, ringHash: {minimumRingSize: 256}}}}"
    rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: hashed, namespace: default}\n"
    await site.become("hashes", f"{rule}spec: {{host: hashed.example.com, trafficPolicy: {hashed}}}\n---\n{_HASHED}")
    asks = [Ask("", host="hashed.example.com", headers={"x-key": f"key-{number}"}) for number in range(16)]

    async def told() -> list[list[str]]:
        return [[await site.ask(way, ask) for ask in asks] for way in site.ways]

    def agree(found: list[list[str]]) -> bool:
        return all(one == found[0] for one in found) and set(found[0]) == {"200 v1 /", "200 v2 /"}

    assert await eventually(told, agree) == await told()


_HASHED = (
    "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: hashed, namespace: default}\n"
    "spec: {hosts: [hashed.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],"
    f" endpoints: [{{address: {HOST}, ports: {{http: %(v1)d}}}}, {{address: {HOST}, ports: {{http: %(v2)d}}}}]}}\n---\n"
    + routes("  http: [{route: [{destination: {host: hashed.example.com}}]}]", "[hashed.example.com]")
)
