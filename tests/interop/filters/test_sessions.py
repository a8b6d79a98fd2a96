"""Sessions that stay with an endpoint, in a real Envoy and in ours: either keeps the sessions that the other began."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.ports import HOST, FreePorts
from tests.interop.connections.twins import Twin, Twins, twins

pytestmark = pytest.mark.asyncio(loop_scope="module")

_BOOTSTRAP = (Path(__file__).parent / "sessions.yaml").read_text()
_AGAIN = 4
"""More requests than endpoints, so that taking turns would show."""
_PAST, _FUTURE = b"\x10\x01", b"\x10\xff\xff\xff\xff\x0f"


@dataclass(frozen=True)
class Answer:
    """What a client gets of a request."""

    status: int
    backend: str
    cookie: str
    header: str

    @property
    def value(self) -> str:
        """The session that it is given."""
        return self.cookie.split('"')[1] if self.cookie else self.header


@dataclass(frozen=True)
class Site:
    """Both proxies, and the addresses of their endpoints by name."""

    pair: Twins
    addresses: Mapping[str, str]

    @property
    def both(self) -> tuple[Twin, Twin]:
        return self.pair.envoy, self.pair.ours

    def cookie(self, name: str, more: bytes = b"") -> str:
        """The session of an endpoint, with further fields of its message."""
        address = self.addresses[name].encode()
        return base64.b64encode(b"\x0a" + bytes([len(address)]) + address + more).decode()

    def plain(self, name: str) -> str:
        """The same as a header has it."""
        return base64.b64encode(self.addresses[name].encode()).decode()

    async def ask(self, twin: Twin, path: str, **headers: str) -> Answer:
        url = f"http://{HOST}:{twin.ports['SESSIONS']}{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, session.get(url, headers=named) as answer:
            told = answer.headers
            backend = await answer.text() if answer.ok else ""
            return Answer(answer.status, backend, ", ".join(told.getall("set-cookie", ())), told.get("x-session", ""))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        ports = {name: await _backend(stack, name) for name in ("A", "B", "SICK")} | {"DEAD": FreePorts().take()}
        pair = await stack.enter_async_context(twins(tmp_path_factory.mktemp("sessions"), _BOOTSTRAP, "SESSIONS", **ports))
        yield Site(pair, {name: f"{HOST}:{port}" for name, port in ports.items()})


async def _backend(stack: AsyncExitStack, name: str) -> int:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=name)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    stack.push_async_callback(server.close)
    assert server.port is not None
    return server.port


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("/x", "; HttpOnly"),
        ("/aged/x", "; Max-Age=3600; Path=/aged; SameSite=Strict; Secure; HttpOnly"),
        ("/slash/x", "; Path=/slash/; HttpOnly"),
        ("/strict", "; HttpOnly"),
        ("/header", None),
    ],
)
async def test_a_session_that_one_proxy_begins_both_keep(site: Site, path: str, attributes: str | None) -> None:
    for beginner in site.both:
        begun = await _begun(site, beginner, path)
        name = begun.cookie.partition("=")[0]
        assert begun.cookie == ("" if attributes is None else f'{name}="{begun.value}"{attributes}')
        brought = {"cookie": f"{name}={begun.value}"} if name else {"x_session": begun.value}
        for keeper in site.both:
            assert {await site.ask(keeper, path, **brought) for _ in range(_AGAIN)} == {Answer(200, begun.backend, "", "")}


async def _begun(site: Site, twin: Twin, path: str) -> Answer:
    """The answer to a first request; one in three is for an endpoint that is dead."""
    while True:
        answer = await site.ask(twin, path)
        if answer.status == 200:
            return answer


@pytest.mark.parametrize("name", ["A", "B", "DEAD"])
async def test_the_cookie_of_an_endpoint_is_the_same_in_both(site: Site, name: str) -> None:
    found = [await _until_at(site, twin, name) for twin in site.both]
    assert {answer.value for answer in found} == {site.cookie(name)}


async def _until_at(site: Site, twin: Twin, name: str) -> Answer:
    while True:
        answer = await site.ask(twin, "/x")
        if answer.value == site.cookie(name):
            return answer


CASES = {
    "quoted": ("/x", "B", '"{cookie}"', b""),
    "an address alone": ("/x", "B", "{plain}", b""),
    "of the future": ("/x", "B", "{cookie}", _FUTURE),
    "degraded": ("/x", "DEAD", "{cookie}", b""),
    "in a state that the cluster names": ("/drained", "B", "{cookie}", b""),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_session_is_kept(site: Site, case: str) -> None:
    path, name, text, more = CASES[case]
    value = text.format(cookie=site.cookie(name, more), plain=site.plain(name))
    expected = Answer(503, "", "", "") if name == "DEAD" else Answer(200, name, "", "")
    for twin in site.both:
        assert {await site.ask(twin, path, cookie=f"sticky={value}") for _ in range(_AGAIN)} == {expected}


NOT_KEPT = {
    "expired": ("/x", "B", _PAST),
    "in a bad state": ("/x", "SICK", b""),
    "in a state that the cluster does not name": ("/drained", "SICK", b""),
    "a broken message": ("/x", "B", b"\x12\x7f"),
}


@pytest.mark.parametrize("case", NOT_KEPT)
async def test_a_session_that_cannot_be_kept_is_given_another_endpoint(site: Site, case: str) -> None:
    path, name, more = NOT_KEPT[case]
    for twin in site.both:
        seen = [await site.ask(twin, path, cookie=f"sticky={site.cookie(name, more)}") for _ in range(_AGAIN)]
        assert all(answer.value for answer in seen), twin.name
        assert "SICK" not in {answer.backend for answer in seen}


async def test_a_strict_session_has_its_endpoint_or_none(site: Site) -> None:
    for twin in site.both:
        assert await site.ask(twin, "/strict", cookie=f"sticky={site.cookie('SICK')}") == Answer(503, "", "", "")


async def test_a_retry_may_leave_the_sessions_endpoint_and_tells_the_new_one(site: Site) -> None:
    for twin in site.both:
        answer = await site.ask(twin, "/again", cookie=f"sticky={site.cookie('DEAD')}")
        assert (answer.status, answer.value) == (200, site.cookie(answer.backend))


@pytest.mark.parametrize("path", ["/off", "/empty", "/agedx", "/slash", "/direct"])
async def test_where_there_are_no_sessions_none_is_begun_and_none_kept(site: Site, path: str) -> None:
    for twin in site.both:
        backends = {"made here"} if path == "/direct" else {"A", "B"}
        while backends:
            answer = await site.ask(twin, path, cookie=f"sticky={site.cookie('B')}; aged={site.cookie('B')}")
            assert not answer.value
            backends.discard(answer.backend)


async def test_sessions_of_a_prefix_are_counted(site: Site) -> None:
    counts = []
    for twin in site.both:
        before = await twin.stats()
        for session in ("A", "B", "SICK"):
            await site.ask(twin, "/x", cookie=f"sticky={site.cookie(session)}")
        after = await twin.stats()
        counts.append({name: value - before.get(name, 0) for name, value in after.items() if ".stateful_session." in name})
    assert counts[1] == counts[0]
    assert counts[0]["http.p.stateful_session.own.routed"] == 2
