"""Requests and connections that name their upstream themselves: a real Envoy and our proxy look the names up and go there."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from tests.certificates import Authority
from tests.interop.connections.twins import HOST, Twin, Twins, twins
from tests.interop.differential.wire import Answer, ask
from tests.interop.upstream.names import BROKEN, Names, names
from tests.waiting import eventually

from .bootstrap import cache, dynamic, http, older_tls, sni, tls, to
from .origin import origins

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECORDS: dict[str, tuple[str, ...] | str] = {
    "a.test": ("127.31.0.1",),
    "b.test": ("127.31.0.2",),
    "x.w.test": ("127.31.0.3",),
    "two.test": ("127.31.0.4", "127.31.0.5"),
    "moving.test": ("127.31.0.6",),
    "failing.test": ("127.31.0.7",),
    "idle.test": ("127.31.0.8",),
    "early.test": ("127.31.0.9",),
    "six.test": ("::1",),
    "broken.test": BROKEN,
}
CERTIFIED = ("a.test", "*.w.test")

LISTENERS = ("MAIN", "CONNECT", "TINY", "CLOSED", "SHORT", "SECURE", "BARE", "NAMED", "UNNAMED", "FULL")

MAIN = cache("main")
TINY = cache("tiny", "max_hosts: 1,")
CLOSED = cache("closed", "dns_cache_circuit_breaker: {max_pending_requests: 0},")
SHORT = cache(
    "short",
    "dns_min_refresh_rate: 1s, host_ttl: 3s, dns_failure_refresh_rate: {base_interval: 0.2s, max_interval: 0.4s},"
    " preresolve_hostnames: [{address: early.test, port_value: 80}],",
)

BOOTSTRAP = (
    "static_resources:\n  listeners:"
    + http(
        "MAIN", MAIN,
        to("main", "literal", override="host_rewrite_literal: 'b.test:$PLAIN'"),
        to("main", "header", override="host_rewrite_header: x-to"),
        to("main", "auto", ", auto_host_rewrite: true"),
        to("main", "rewritten", ", host_rewrite_literal: 'b.test:$PLAIN'"),
        to("another", "another"),
        to("main"),
    )
    + http(
        "CONNECT", MAIN,
        "{match: {connect_matcher: {}}, route: {cluster: main, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}}",
    )
    + http("TINY", TINY, to("tiny"))
    + http("CLOSED", CLOSED, to("closed"))
    + http("SHORT", SHORT, to("short"))
    + http("SECURE", MAIN, *(to(name, name) for name in ("secure", "older", "trusting_nobody", "unnamed", "fixed")))
    + http("BARE", "", *(to(name, name) for name in ("main", "tiny", "closed", "secure")))
    + sni("NAMED", "main", MAIN, "$SECURED")
    + sni("FULL", "closed", CLOSED, "$SECURED")
    + sni("UNNAMED", "main")
    + "\n  clusters:"
    + dynamic("main", MAIN) + dynamic("tiny", TINY) + dynamic("closed", CLOSED)
    + dynamic("short", SHORT, "\n    max_requests_per_connection: 1")
    + dynamic("another", cache("another"))
    + dynamic("secure", MAIN, tls(True))
    + dynamic("older", MAIN, older_tls())
    + dynamic("trusting_nobody", MAIN, tls(False))
    + dynamic("fixed", MAIN, tls(True, "sni: fixed.test,"))
    + dynamic("unnamed", MAIN, tls(True, names=""), "allow_insecure_cluster_options: true,")
)  # fmt: skip

_RESOLVERS_WORDS = re.compile(r"dns_resolution_failure\{[^ ]*\}")
"""What went wrong with a name each resolver says in its own words."""
_TRANSPORTS_WORDS = re.compile(r"\|[^ ]*\}")


@dataclass(frozen=True)
class World:
    pair: Twins
    server: Names
    plain: int
    secured: int

    @property
    def both(self) -> tuple[Twin, Twin]:
        return self.pair.envoy, self.pair.ours

    async def get(self, listener: str, host: str, path: str = "/", *headers: str, case: str = "-") -> Answer:
        """The answer, which has to be the same of both."""
        host = host.replace("PLAIN", str(self.plain)).replace("SECURED", str(self.secured))
        told = "".join(f"{header}\r\n".replace("PLAIN", str(self.plain)) for header in headers)
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nx-case: {case}\r\n{told}\r\n".encode()
        envoy, ours = [_comparable(await ask(twin.ports[listener], request)) for twin in self.both]
        assert ours == envoy
        return ours

    async def line(self, case: str) -> str:
        """What the log says of a case, which has to be the same, too; lines that repeat others are left out."""

        async def read() -> list[set[str]]:
            return [{_words(line) for line in await twin.logged(0) if line.startswith(f"{case} ")} for twin in self.both]

        envoy, _ = await eventually(read, lambda found: found[0] and found[0] == found[1])
        return "; ".join(sorted(envoy))

    async def counted(self, pattern: str) -> dict[str, int]:
        """Counters of ours that match, each of which Envoy has to have with the same number before long."""

        async def read() -> list[dict[str, int]]:
            return [{name: value for name, value in (await twin.stats()).items() if re.fullmatch(pattern, name)} for twin in self.both]

        _, ours = await eventually(read, lambda found: found[1] and {name: found[0].get(name) for name in found[1]} == found[1])
        return ours


def _words(line: str) -> str:
    return _TRANSPORTS_WORDS.sub("}", _RESOLVERS_WORDS.sub("dns_resolution_failure{}", line))


def _comparable(answer: Answer) -> Answer:
    return replace(answer, headers=tuple(pair for pair in answer.headers if pair[0] not in ("date", "x-envoy-upstream-service-time")))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("dynamic")
    authority = Authority()
    pair = authority.pair(*CERTIFIED)
    for name, content in (("chain.pem", pair.chain), ("key.pem", pair.key), ("root.pem", authority.pem)):
        (folder / name).write_bytes(content)
    async with names() as server, origins(folder / "chain.pem", folder / "key.pem") as (plain, secured):
        server.records = dict(RECORDS)
        known = {"DNS": server.port, "PLAIN": plain, "SECURED": secured, "FOLDER": folder}
        async with twins(folder, BOOTSTRAP, *LISTENERS, **known) as running:
            yield World(running, server, plain, secured)


HOSTS = {
    "a name": "a.test:PLAIN",
    "the same name": "a.test:PLAIN",
    "several addresses": "two.test:PLAIN",
    "an address": "127.31.1.1:PLAIN",
    "an address of the wrong family": "[::1]:PLAIN",
    "no such name": "gone.test:PLAIN",
    "still no such name": "gone.test:PLAIN",
    "no address of the family": "six.test:PLAIN",
    "a server that fails": "broken.test:PLAIN",
    "a closed port": "a.test:1",
    "an empty label": "a..test:PLAIN",
    "a long label": f"{'a' * 64}.test:PLAIN",
}


@pytest.mark.parametrize("case", HOSTS)
async def test_a_request_goes_where_its_host_says(world: World, case: str) -> None:
    name = case.replace(" ", "-")
    answer = await world.get("MAIN", HOSTS[case], case=name)
    line = await world.line(name)
    assert answer.status == (200 if case in ("a name", "the same name", "several addresses", "an address") else 503)
    assert (" DF dns_resolution_failure{} " in line) == (answer.body == "DNS resolution failure")


async def test_routes_say_another_host(world: World) -> None:
    for path, headers in (
        ("/literal", ()), ("/header", ("x-to: b.test:PLAIN", "x-to: c.test")), ("/header", ()), ("/auto", ()), ("/rewritten", ()),
        ("/another", ()),
    ):  # fmt: skip
        await world.get("MAIN", "a.test:PLAIN", path, *headers)
    assert '"hosts": ["b.test' in (await world.get("MAIN", "a.test:PLAIN", "/literal")).body


@pytest.mark.parametrize("path", ["/secure", "/older", "/trusting_nobody", "/unnamed", "/fixed"])
async def test_the_hosts_name_is_asked_for_and_has_to_be_the_certificates(world: World, path: str) -> None:
    hosts = ("a.test", "b.test", "x.w.test", "127.31.1.2")
    for host in hosts:
        case = f"{path[1:]}-{host}"
        await world.get("SECURE", f"{host}:SECURED", path, case=case)
    for host in hosts:
        await world.line(f"{path[1:]}-{host}")


async def test_a_full_cache_takes_no_other_host(world: World) -> None:
    assert (await world.get("TINY", "a.test:PLAIN")).status == 200
    assert (await world.get("TINY", "b.test:PLAIN", case="full")).body == "DNS cache overflow"
    assert (await world.get("TINY", "a.test:PLAIN")).status == 200
    assert " 503 - dns_cache_overflow " in await world.line("full")
    await world.get("BARE", "b.test:PLAIN", "/tiny", case="full-bare")
    assert " 503 UH dns_cache_overflow " in await world.line("full-bare")


async def test_nobody_waits_where_nobody_may(world: World) -> None:
    assert (await world.get("CLOSED", "a.test:PLAIN", case="closed")).body == "Dynamic forward proxy pending request overflow"
    assert " 503 - dynamic_forward_proxy_pending_request_overflow " in await world.line("closed")
    await world.get("BARE", "a.test:PLAIN", "/closed", case="closed-bare")
    assert " 503 UH dns_cache_pending_requests_overflow " in await world.line("closed-bare")


async def test_without_the_filter_the_cluster_looks_up(world: World) -> None:
    assert (await world.get("BARE", "two.test:PLAIN", "/main")).status == 200
    assert (await world.get("BARE", "x.w.test:SECURED", "/secure")).status == 200
    await world.get("BARE", "nowhere.test:PLAIN", "/main", case="bare")
    assert " 503 UH dns_resolution_failure{} " in await world.line("bare")


async def test_a_changed_address_is_followed_and_a_failure_takes_nothing_away(world: World) -> None:
    for name in ("moving.test", "failing.test"):
        await world.get("SHORT", f"{name}:PLAIN")
    world.server.records |= {"moving.test": ("127.31.0.60",), "failing.test": BROKEN}

    async def moved() -> list[str]:
        answers = []
        for twin in world.both:
            for name in ("moving.test", "failing.test"):
                request = f"GET / HTTP/1.1\r\nHost: {name}:{world.plain}\r\nConnection: close\r\n\r\n".encode()
                answers.append((await ask(twin.ports["SHORT"], request)).body)
        return answers

    found = await eventually(moved, lambda answers: sum("127.31.0.60" in answer for answer in answers) == 2)
    assert sum("127.31.0.7" in answer for answer in found) == 2


async def test_a_host_that_nobody_uses_is_forgotten(world: World) -> None:
    async def hosts() -> list[int]:
        return [(await twin.stats())["dns_cache.short.num_hosts"] for twin in world.both]

    await world.get("SHORT", "idle.test:PLAIN")
    await eventually(hosts, lambda counts: counts == [0, 0])
    assert (await world.get("SHORT", "idle.test:PLAIN")).status == 200


async def connected(port: int, host: str) -> tuple[bytes, bytes]:
    """The status line that a CONNECT is answered with, and what the server behind it says."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
    if b" 200 " not in status:
        writer.close()
        return status, b""
    writer.write(b"GET / HTTP/1.1\r\nHost: inner\r\n\r\n")
    answer = await reader.readuntil(b"}")
    writer.close()
    return status, answer


@pytest.mark.parametrize("host", ["a.test", "127.31.1.3", "gone.test"])
async def test_a_tunnel_goes_where_its_connect_says(world: World, host: str) -> None:
    envoy, ours = [await connected(twin.ports["CONNECT"], f"{host}:{world.plain}") for twin in world.both]
    assert ours == envoy
    assert (b'"hosts": ["inner"]' in ours[1]) == (host != "gone.test")


async def tls_answer(port: int, name: str | None) -> bytes:
    """What a server that speaks TLS says behind a listener; nothing if the connection is cut."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name)
        writer.write(b"GET / HTTP/1.1\r\nHost: inner\r\n\r\n")
        answer = await reader.readuntil(b"}")
        writer.close()
        return answer
    return b""


@pytest.mark.parametrize("listener", ["NAMED", "FULL"])
async def test_a_connection_goes_where_its_server_name_says(world: World, listener: str) -> None:
    for name in ("a.test", "gone.test", "broken.test", None, "a.test"):
        envoy, ours = [await tls_answer(twin.ports[listener], name) for twin in world.both]
        assert ours == envoy
        assert bool(ours) == (listener == "NAMED" and name == "a.test")
    for name in ("a.test", "gone.test", "-"):
        await world.line(f"{listener} {name}")


async def test_without_the_filter_a_connection_has_the_host_looked_up_for_later_ones(world: World) -> None:
    async def tried(twin: Twin) -> bool:
        """Whether a connection was tried where the host is: at the port of HTTP, as nothing says another."""
        assert await tls_answer(twin.ports["UNNAMED"], "a.test") == b""
        return any(line.startswith("UNNAMED a.test UF") for line in await twin.logged(0))

    for twin in world.both:
        await eventually(lambda twin=twin: tried(twin))
        await tls_answer(twin.ports["UNNAMED"], None)
    await world.line("UNNAMED a.test")
    await world.line("UNNAMED -")


async def test_caches_count_as_envoys(world: World) -> None:
    await world.get("MAIN", "a.test:PLAIN")
    counts = await world.counted(r"dns_cache\.(?!short).*\.(host_.*|num_hosts|dns_rq_pending_overflow|dns_query_timeout|circuit_.*)")
    assert counts["dns_cache.main.num_hosts"] == counts["dns_cache.main.host_added"] > 0
