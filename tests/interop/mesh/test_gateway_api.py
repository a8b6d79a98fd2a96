"""The Gateway API's words, on real requests: our proxy and a real Envoy do with them what the API's documentation says."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.environment import place_gateway
from pymesh.local.meshfile import Gateway
from pymesh.local.ports import HOST
from pymesh_certs.authority import Authority
from tests.waiting import eventually

from .stage import ENVOY, NAMESPACE, OURS, resource, staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST = 16
"""Rules of one route; it must not matter how many routes they are in."""

LABEL = "gateway.networking.k8s.io/gateway-name"


@dataclass
class Application:
    """What stands behind the gateway: it tells what it was asked, and remembers it."""

    port: int
    secure: int
    """The same with TLS, as app.example.com."""
    authority: bytes
    got: list[tuple[str, str]]
    """Path and host of each request."""


@dataclass(frozen=True)
class Edge:
    """A running gateway and its plain listener's port."""

    port: int
    session: aiohttp.ClientSession
    application: Application

    async def ask(self, path: str, host: str = "a.example.com", method: str = "GET", **headers: str) -> tuple[int, dict[str, Any], Any]:
        """(status, what the application was asked, the answer's headers); an answer that is not the application's tells nothing."""
        named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = f"http://{HOST}:{self.port}{path}"
        async with self.session.request(method, url, headers=named, allow_redirects=False) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.headers.get("x-app") else {}, response.headers


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def application(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    got: list[tuple[str, str]] = []

    async def told(request: web.Request) -> web.Response:
        got.append((request.path, request.headers["host"]))
        headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
        return web.json_response({"path": request.path_qs, "headers": headers}, headers={"x-app": "1", "x-secret": "s"})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", told)
    authority = Authority.load_or_create(tmp_path_factory.mktemp("application"), "app.test")
    secure = TestServer(app)
    await secure.start_server(ssl=serving(authority, tmp_path_factory.mktemp("certificate")))
    async with TestServer(app) as server, secure:
        assert server.port is not None
        assert secure.port is not None
        yield Application(server.port, secure.port, authority.root_pem, got)


def serving(authority: Authority, folder: Path) -> ssl.SSLContext:
    """What a server of app.example.com speaks TLS with."""
    chain, key = authority.issue_server(["app.example.com"], [])
    (folder / "tls.crt").write_bytes(chain)
    (folder / "tls.key").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[OURS, ENVOY])
async def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, application: Application) -> AsyncIterator[Edge]:
    async with staged(tmp_path_factory.mktemp(request.param)) as stage, aiohttp.ClientSession() as session:
        edge = Edge(stage.ports.take(), session, application)
        application.got.clear()
        stage.hold("app-roots", {"ca.crt": application.authority})
        stage.configure("edge.yaml", *resources(edge.port, application))
        await stage.start_control()
        proxy = place_gateway(Gateway(name="edge", labels={LABEL: "edge"}), NAMESPACE, stage.folder / "tokens", stage.ports)
        await stage.start(proxy, request.param)
        await eventually(lambda: answers(edge))
        yield edge


async def answers(edge: Edge) -> bool:
    try:
        return (await edge.ask("/"))[0] == 200
    except aiohttp.ClientError:
        return False


def resources(port: int, application: Application) -> list[dict[str, Any]]:
    listeners = [
        {"name": "all", "port": port, "protocol": "HTTP"},
        {"name": "narrow", "port": port, "protocol": "HTTP", "hostname": "*.narrow.example.com"},
    ]
    return [
        *(service(name, application.port if name == "app" else application.secure) for name in ("app", "safe", "false", "open")),
        backend_tls("safe", "app.example.com"),
        backend_tls("false", "other.example.com"),
        gateway_api("Gateway", "edge", {"gatewayClassName": "istio", "listeners": listeners}),
        *(route(f"web-{first}", RULES[first : first + MOST]) for first in range(0, len(RULES), MOST)),
        route("narrow", [rule()], parent={"name": "edge", "sectionName": "narrow"}, hostnames=["a.narrow.example.com"]),
    ]


def service(name: str, port: int) -> dict[str, Any]:
    spec = {
        "hosts": [f"{name}.default.svc.cluster.local"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": HOST, "ports": {"http": port}}],
    }  # fmt: skip
    return resource("ServiceEntry", name, spec)


def backend_tls(name: str, hostname: str) -> dict[str, Any]:
    validation = {"hostname": hostname, "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "app-roots"}]}
    target = {"group": "", "kind": "Service", "name": name}
    return gateway_api("BackendTLSPolicy", name, {"targetRefs": [target], "validation": validation})


def gateway_api(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {**resource(kind, name, spec), "apiVersion": "gateway.networking.k8s.io/v1"}


def route(name: str, rules: list[dict[str, Any]], parent: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return gateway_api("HTTPRoute", name, {"parentRefs": [parent or {"name": "edge", "sectionName": "all"}], "rules": rules, **more})


APP = {"name": "app", "port": 80}
GONE = {"name": "gone", "port": 80}


def rule(*filters: dict[str, Any], backends: list[dict[str, Any]] | None = None, **match: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"matches": [match]} if match else {}
    return found | {"filters": list(filters), "backendRefs": [APP] if backends is None else backends}


def path(value: str, kind: str = "PathPrefix") -> dict[str, str]:
    return {"type": kind, "value": value}


def headers(which: str, **edits: Any) -> dict[str, Any]:
    return {"type": f"{which}HeaderModifier", f"{which.lower()}HeaderModifier": edits}


def sets(value: str) -> dict[str, Any]:
    """The edit by which a test sees which rule took its request."""
    return headers("Request", set=[{"name": "x-rule", "value": value}])


def rewrite(replacement: str) -> dict[str, Any]:
    return {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": replacement}}}


def redirect(**to: Any) -> dict[str, Any]:
    return {"type": "RequestRedirect", "requestRedirect": to}


WHOLE_PATH = {"type": "ReplaceFullPath", "replaceFullPath": "/all\\1"}
WHOLE = {"type": "URLRewrite", "urlRewrite": {"hostname": "b.example.com", "path": WHOLE_PATH}}
"""What would name a group in an expression is text here."""

REPLACEMENTS = [
    ("/foo/bar", "/xyz", "/xyz/bar"),
    ("/foo/bar", "/xyz/", "/xyz/bar"),
    ("/foo", "/xyz", "/xyz"),
    ("/foo/", "/xyz", "/xyz/"),
    ("/foo/bar", "", "/bar"),
    ("/foo/", "", "/"),
    ("/foo", "", "/"),
    ("/foo/", "/", "/"),
    ("/foo", "/", "/"),
    ("/foo/bar?q=/foo", "/", "/bar?q=/foo"),
]
"""What the API documents of `replacePrefixMatch` for the prefix /foo, and that a query is left alone."""

STRIPS = dict.fromkeys(replacement for _, replacement, _ in REPLACEMENTS)
WHICH = {replacement: {"name": "x-replace", "value": f"'{replacement}'"} for replacement in STRIPS}

RULES = [
    rule(sets("catch-all")),
    rule(sets("prefix"), path=path("/order")),
    rule(sets("header"), path=path("/order"), headers=[{"name": "x-a", "value": "1"}]),
    rule(sets("method"), path=path("/order"), method="POST"),
    rule(sets("query"), path=path("/order"), queryParams=[{"name": "q", "type": "RegularExpression", "value": "[0-9]+"}]),
    rule(sets("longer"), path=path("/order/long")),
    rule(sets("exact"), path=path("/order/exact", "Exact")),
    rule(sets("regex"), path=path("/re/[a-z]+", "RegularExpression")),
    *(rule(rewrite(text), path=path("/foo"), headers=[name]) for text, name in WHICH.items()),
    rule(rewrite("/new"), path=path("/"), headers=[{"name": "x-root", "value": "1"}]),
    {"matches": [{"path": path("/moved")}], "filters": [redirect(path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"})]},
    {"matches": [{"path": path("/away")}], "filters": [redirect(scheme="https", hostname="b.example.com", statusCode=308)]},
    {"matches": [{"path": path("/secured")}], "filters": [redirect(scheme="https")]},
    rule(WHOLE, path=path("/whole")),
    rule(headers("Response", set=[{"name": "x-new", "value": "n"}], remove=["x-secret"]),
         headers("Request", add=[{"name": "x-had", "value": "added"}], remove=["x-gone"]), path=path("/edited")),
    rule({"type": "RequestMirror", "requestMirror": {"backendRef": APP}}, path=path("/copied")),
    rule({"type": "CORS", "cors": {"allowOrigins": ["https://*.example.com"], "allowMethods": ["PUT"], "maxAge": 9}}, path=path("/cors")),
    *(rule(path=path(f"/{name}"), backends=[{**APP, "name": name}]) for name in ("safe", "false", "open")),
    rule(path=path("/gone"), backends=[GONE]),
    rule(path=path("/none"), backends=[]),
    rule(path=path("/zero"), backends=[{**APP, "weight": 0}]),
    rule(path=path("/some"), backends=[APP, {**GONE, "weight": 1}]),
    rule(path=path("/secret"), backends=[{**APP, "namespace": "other"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "method", "header", "taken"),
    [
        ("/", "GET", {}, "catch-all"),
        ("/orders", "GET", {}, "catch-all"),
        ("/order", "GET", {}, "prefix"),
        ("/order/", "GET", {}, "prefix"),
        ("/order?q=x", "GET", {}, "prefix"),
        ("/order?q=7", "GET", {}, "query"),
        ("/order?q=7", "GET", {"x_a": "1"}, "header"),
        ("/order?q=7", "POST", {"x_a": "1"}, "method"),
        ("/order/long/er", "POST", {"x_a": "1"}, "longer"),
        ("/order/exact", "POST", {"x_a": "1"}, "exact"),
        ("/order/exact/not", "GET", {}, "prefix"),
        ("/re/abc", "GET", {}, "regex"),
        ("/re/abc/d", "GET", {}, "catch-all"),
    ],
)
async def test_the_most_specific_rule_has_the_request(edge: Edge, target: str, method: str, header: dict[str, str], taken: str) -> None:
    status, asked, _ = await edge.ask(target, method=method, **header)
    assert (status, asked["headers"]["x-rule"]) == (200, taken)


@pytest.mark.parametrize(("target", "replacement", "seen"), REPLACEMENTS)
async def test_a_prefix_is_replaced_as_documented(edge: Edge, target: str, replacement: str, seen: str) -> None:
    status, asked, _ = await edge.ask(target, x_replace=f"'{replacement}'")
    assert (status, asked["path"]) == (200, seen)


async def test_the_root_is_a_prefix_too(edge: Edge) -> None:
    assert [(await edge.ask(target, x_root="1"))[1]["path"] for target in ("/", "/a")] == ["/new/", "/new/a"]


async def test_a_redirect_replaces_what_it_names_and_keeps_the_rest(edge: Edge) -> None:
    for target, location in (("/moved", "/"), ("/moved/a?b=c", "/a?b=c")):
        status, _, told = await edge.ask(target)
        assert (status, told["location"]) == (302, f"http://a.example.com:{edge.port}{location}")
    status, _, told = await edge.ask("/away/x?y=z")
    assert (status, told["location"]) == (308, "https://b.example.com/away/x?y=z")


@pytest.mark.parametrize("named", ["a.example.com", "a.example.com:8080"])
async def test_a_redirect_to_another_scheme_leads_to_its_port_whatever_the_client_names(edge: Edge, named: str) -> None:
    assert (await edge.ask("/secured/x?y=z", named))[2]["location"] == "https://a.example.com:443/secured/x?y=z"


async def test_path_and_host_are_rewritten(edge: Edge) -> None:
    _, asked, _ = await edge.ask("/whole/of/it?q=1")
    assert (asked["path"], asked["headers"]["host"]) == ("/all\\1?q=1", "b.example.com")


async def test_headers_are_edited_on_both_ways(edge: Edge) -> None:
    _, asked, told = await edge.ask("/edited", x_had="mine", x_gone="1")
    assert (asked["headers"]["x-had"], "x-gone" in asked["headers"]) == ("mine,added", False)
    assert (told["x-new"], "x-secret" in told) == ("n", False)


async def test_a_mirror_gets_a_copy(edge: Edge) -> None:
    assert (await edge.ask("/copied/1"))[0] == 200
    both = [("/copied/1", "a.example.com")] * 2
    await eventually(lambda: asyncio.sleep(0, [one for one in edge.application.got if one[0] == "/copied/1"]), lambda seen: seen == both)


async def test_a_preflight_is_answered_for_allowed_origins_alone(edge: Edge) -> None:
    asks = {"access_control_request_method": "PUT"}
    _, asked, told = await edge.ask("/cors", method="OPTIONS", origin="https://a.example.com", **asks)
    assert (asked, told["access-control-allow-origin"], told["access-control-max-age"]) == ({}, "https://a.example.com", "9")
    _, asked, told = await edge.ask("/cors", method="OPTIONS", origin="https://a.other.com", **asks)
    assert (asked, "access-control-allow-origin" in told) == ({}, False)


@pytest.mark.parametrize("target", ["/gone", "/none", "/zero", "/secret"])
async def test_what_has_no_backend_is_answered_with_500(edge: Edge, target: str) -> None:
    assert (await edge.ask(target))[0] == 500


async def test_a_backend_that_is_not_there_fails_its_share(edge: Edge) -> None:
    assert {(await edge.ask("/some"))[0] for _ in range(40)} == {200, 500}


async def test_tls_with_a_backend_is_as_its_policy_says(edge: Edge) -> None:
    assert (await edge.ask("/safe"))[0] == 200
    assert (await edge.ask("/false"))[0] == 503  # a certificate for another name
    assert (await edge.ask("/open"))[0] in (502, 503)  # no policy, and so no TLS


@pytest.mark.parametrize(("host", "status"), [("a.narrow.example.com", 200), ("b.narrow.example.com", 404), ("b.example.com", 200)])
async def test_a_narrower_listener_keeps_its_names_from_the_wider_one(edge: Edge, host: str, status: int) -> None:
    assert (await edge.ask("/", host))[0] == status
